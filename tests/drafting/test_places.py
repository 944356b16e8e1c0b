"""Where drafts go: whole or not at all, and never over what is there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.drafting.places import Places, places_of, publish, work_folder
from pipeline.errors import StorageError, TryAgain, UsageError

NOBODY = 65534
CONTRACTS = {"raw.yaml": b"raw", "prepared.yaml": b"prepared"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("photos/Oak Leaves", "oak_leaves"),
        ("2026-leaves", "data_2026_leaves"),
        ("leaves.tar.gz", "leaves"),
        ("été", "ete"),
        ("...", "data"),
        ("x" * 100, "x" * 63),
    ],
)
def test_a_name_is_made_of_the_folders(path: str, name: str) -> None:
    assert places_of(Path(path), None) == Places(name)


@pytest.mark.parametrize("name", ["Leaves", "1st", "", "a-b", "x" * 64, "../x"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        places_of(Path("x"), name)


def test_drafts_of_several_names_stand_beside_each_other(tmp_path: Path) -> None:
    for name in ("leaves", "trees"):
        publish(tmp_path, Places(name), b"config", CONTRACTS)
    assert sorted(path.name for path in (tmp_path / "configs").iterdir()) == ["leaves.yaml", "trees.yaml"]


def test_a_folder_to_work_in_is_made_and_may_be_gone_when_it_is_left(tmp_path: Path) -> None:
    with work_folder(tmp_path) as folder:
        assert folder == tmp_path / ".ratchet" / "init"
        folder.rmdir()
    with work_folder(tmp_path) as folder:
        (folder / "raw").touch()
    assert not folder.exists()


def test_contracts_and_config_are_written(tmp_path: Path) -> None:
    written = publish(tmp_path, Places("leaves"), b"config", CONTRACTS)
    assert {str(path): (tmp_path / path).read_bytes() for path in written} == {
        "configs/leaves.yaml": b"config",
        "data_contracts/leaves/raw.yaml": b"raw",
        "data_contracts/leaves/prepared.yaml": b"prepared",
    }


def test_a_frozen_split_is_written_and_goes_with_the_contracts_if_the_config_cannot_be(tmp_path: Path) -> None:
    written = publish(tmp_path, Places("leaves"), b"config", CONTRACTS, b"split")
    assert written[-1] == Path("splits/leaves.yaml")
    assert (tmp_path / "splits/leaves.yaml").read_bytes() == b"split"
    (tmp_path / "configs" / f".oaks.yaml.partial-{os.getpid()}").mkdir()
    with pytest.raises(StorageError):
        publish(tmp_path, Places("oaks"), b"config", CONTRACTS, b"split")
    assert not (tmp_path / "splits/oaks.yaml").exists()
    assert not (tmp_path / "data_contracts/oaks").exists()


@pytest.mark.parametrize(
    "there", ["configs/leaves.yaml", "data_contracts/leaves/raw.yaml", "data_contracts/leaves", "splits/leaves.yaml"]
)
def test_nothing_is_overwritten_and_nothing_else_is_written(tmp_path: Path, there: str) -> None:
    place = tmp_path / there
    place.parent.mkdir(parents=True)
    place.write_text("mine") if place.suffix else place.symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="is there already, and nothing is overwritten"):
        publish(tmp_path, Places("leaves"), b"config", CONTRACTS)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_name_that_another_config_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "params.yaml").write_text("name: shipped\n")
    (tmp_path / "configs" / "other.yaml").write_text("recipe: {name: leaves}\n")
    with pytest.raises(UsageError, match=r"configs/other\.yaml publishes under the name 'leaves' already"):
        Places("leaves").require_free(tmp_path)


def test_where_the_config_cannot_be_written_no_contract_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StorageError, match="No space left"):
        publish(tmp_path, Places("leaves"), b"config", CONTRACTS)
    assert not (tmp_path / "data_contracts" / "leaves").exists()
    assert list((tmp_path / "configs").iterdir()) == []


def test_a_config_that_comes_in_between_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(aside: Path, path: Path) -> None:
        path.write_text("theirs")
        link(aside, path)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(UsageError, match="is there already"):
        publish(tmp_path, Places("leaves"), b"config", CONTRACTS)
    assert (tmp_path / "configs" / "leaves.yaml").read_text() == "theirs"
    assert not (tmp_path / "data_contracts" / "leaves").exists()


def test_where_nothing_can_be_written_that_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir(mode=0o555)
    is_root = os.geteuid() == 0
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    if is_root:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(StorageError, match="configs: not writable; work in a project of your own"):
            Places("leaves").require_free(tmp_path)
    finally:
        if is_root:
            os.seteuid(0)


def test_where_no_folder_to_work_in_can_be_made_that_is_said(tmp_path: Path) -> None:
    (tmp_path / ".ratchet").write_text("a file")
    with pytest.raises(StorageError, match=r"\.ratchet: cannot be written"), work_folder(tmp_path):
        pass


def test_what_a_killed_one_left_is_removed_and_a_second_one_at_once_is_asked_to_wait(tmp_path: Path) -> None:
    left = tmp_path / ".ratchet" / "init" / "raw"
    left.mkdir(parents=True)
    with work_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "raw").mkdir()
        with pytest.raises(TryAgain, match="another `ratchet init` works"), work_folder(tmp_path):
            pass
        assert (folder / "raw").is_dir()
    assert not folder.exists()
