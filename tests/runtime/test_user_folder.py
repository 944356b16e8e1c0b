"""A folder is the user's own, or another one is taken."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.runtime.user_folder import machine_folder, open_private, shared_folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A runtime folder, a cache and a temporary folder of the test's own, as an environment."""
    found = {"XDG_RUNTIME_DIR": tmp_path / "run", "XDG_CACHE_HOME": tmp_path / "cache", "TMPDIR": tmp_path / "tmp"}
    for folder in found.values():
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(found["TMPDIR"]))
    monkeypatch.setattr("pipeline.runtime.user_folder.socket.gethostname", lambda: "here")
    return {name: str(folder) for name, folder in found.items()}


def test_what_holds_on_one_machine_is_in_the_runtime_folder_and_private(places: dict[str, str], tmp_path: Path) -> None:
    found = machine_folder("cores", places)
    assert found == tmp_path / "run" / "ratchet" / "cores" == machine_folder("cores", places)
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_what_holds_on_all_is_in_the_cache(places: dict[str, str], tmp_path: Path) -> None:
    assert shared_folder("locks", places) == tmp_path / "cache" / "ratchet" / "locks"
    assert shared_folder("locks", {"HOME": str(tmp_path)}) == tmp_path / ".cache" / "ratchet" / "locks"


@pytest.mark.parametrize("how", ["a link", "written by others", "another user's", "a file"])
def test_what_is_not_the_users_own_is_left_alone_and_the_next_place_is_taken(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if Path(f"/run/user/{os.getuid()}").is_dir():
        pytest.skip("this machine has a runtime folder, which would be next")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = tmp_path / "run" / "ratchet"
    if how == "a link":
        theirs.symlink_to(elsewhere)
    elif how == "a file":
        theirs.write_text("")
    else:
        theirs.mkdir()
        theirs.chmod(0o777 if how == "written by others" else 0o755)
    if how == "another user's":
        if os.getuid() != 0:
            pytest.skip("only root can give a folder away")
        os.chown(theirs, 12345, 12345)
    assert machine_folder("cores", places) == tmp_path / "cache" / "ratchet" / "hosts" / "here" / "cores"
    assert list(elsewhere.iterdir()) == []
    assert theirs.is_file() or list(theirs.iterdir()) == []


def test_without_any_other_place_it_is_in_the_temporary_folder(places: dict[str, str], tmp_path: Path) -> None:
    assert shared_folder("locks", {}) == tmp_path / "tmp" / f"ratchet-{os.getuid()}" / "locks"


def test_where_all_are_taken_one_line_says_so(places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tmp" / f"ratchet-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(StorageError, match=r"no folder of this user's own for locks: .*ratchet-.*; set XDG_CACHE_HOME"):
        shared_folder("locks", {})


@pytest.mark.parametrize("how", ["a link", "a hard link", "a FIFO", "a folder"])
def test_no_file_is_opened_that_is_not_the_users_alone(tmp_path: Path, how: str) -> None:
    other, path = tmp_path / "other", tmp_path / "lock"
    other.write_text("untouched")
    if how == "a link":
        path.symlink_to(other)
    elif how == "a hard link":
        path.hardlink_to(other)
    elif how == "a FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match="lock"):
        open_private(path)
    assert other.read_text() == "untouched"


def test_a_file_is_made_and_opened_again_without_losing_what_it_holds(tmp_path: Path) -> None:
    with open_private(tmp_path / "lock") as stream:
        stream.write(b"held")
    with open_private(tmp_path / "lock") as stream:
        assert stream.read() == b"held"
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
