"""A folder is made what its address holds, by what has changed alone, and nothing of anybody else's is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError, StorageError, TryAgain, UsageError
from pipeline.runs import mirroring
from pipeline.runs.mirroring import bring, mirror

names = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(lambda parts: "/".join([*parts, "f"]))
contents = st.dictionaries(names, st.binary(max_size=5), min_size=1, max_size=6)


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Make a folder hold these files and no others."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    there = tmp_path / "there"
    there.mkdir()
    write(there, {"cat/1.png": b"one", "dog/ä 2.png": b"two", "notes": b""})
    (root / "params.yaml").write_text(f"data: {{path: data/source, address: 'file://{there}'}}\n")
    return root


def there(root: Path) -> Path:
    return root.parent / "there"


def test_a_folder_becomes_what_the_address_holds_and_then_nothing_is_fetched(project: Path) -> None:
    done = bring(project, None, {})
    assert done is not None
    assert (done.files, done.bytes, done.fetched, done.removed) == (3, 6, 3, 0)
    assert held(project / "data/source") == held(there(project))
    times = {path: path.stat().st_mtime_ns for path in (project / "data/source").rglob("*")}

    again = bring(project, None, {})
    assert str(again) == "3 files, 0.0 MB: nothing has changed"
    assert {path: path.stat().st_mtime_ns for path in (project / "data/source").rglob("*")} == times


@pytest.mark.long
@given(before=contents, after=contents)
@settings(max_examples=30, deadline=None)
def test_whatever_changes_there_changes_here(
    before: dict[str, bytes], after: dict[str, bytes], tmp_path_factory
) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path_factory.mktemp("mirror")
    far = root / "far"
    far.mkdir()
    for number, files in enumerate((before, after)):
        write(far, files)
        for path in far.rglob("*"):
            os.utime(path, ns=(number, number))  # a change is seen by size and time
        mirror(root, f"file://{far}", "here")
        assert held(root / "here") == files
        assert not [path for path in (root / "here").rglob("*") if path.is_dir() and not any(path.iterdir())]


def test_what_was_changed_or_removed_here_is_fetched_again(project: Path) -> None:
    bring(project, None, {})
    (project / "data/source/cat/1.png").write_bytes(b"other")
    (project / "data/source/notes").unlink()
    done = bring(project, None, {})
    assert done is not None
    assert done.fetched == 2
    assert held(project / "data/source") == held(there(project))


@pytest.mark.parametrize("name", ["mine.png", "cat/mine.png", "own/mine.png", "own"])
def test_a_file_that_did_not_come_from_there_is_left_alone_and_named(project: Path, name: str) -> None:
    bring(project, None, {})
    mine = project / "data/source" / name
    mine.parent.mkdir(exist_ok=True)
    mine.mkdir() if name == "own" else mine.write_bytes(b"mine")
    before = held(project / "data/source")
    with pytest.raises(UsageError, match=r"^data\.path: data/source holds '(own|cat/mine\.png|mine\.png)', which did"):
        bring(project, None, {})
    assert held(project / "data/source") == before


def test_a_folder_with_something_in_it_is_not_taken_over(project: Path) -> None:
    write(project, {**held(project), "data/source/cat/1.png": b"mine"})
    with pytest.raises(UsageError, match=r"holds 'cat(/1\.png)?', which did not come from file://"):
        bring(project, None, {})
    assert held(project / "data/source") == {"cat/1.png": b"mine"}


@pytest.mark.parametrize("killed_at", ["before a file is written", "before it is entered as fetched"])
def test_a_mirror_that_was_killed_goes_on(project: Path, killed_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """As if the process had ended here."""

    def die(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        if killed_at == "before a file is written":
            patched.setattr(mirroring, "_fetch", die)
        else:
            listed, calls = mirroring._listed, []

            def listing(*given: Any) -> Any:
                calls.append(1)
                return listed(*given) if len(calls) == 1 else die()

            patched.setattr(mirroring, "_listed", listing)
        with pytest.raises(Killed):
            bring(project, None, {})
    done = bring(project, None, {})
    assert done is not None
    assert done.fetched == 3
    assert held(project / "data/source") == held(there(project))
    assert [path.suffix for path in (project / ".ratchet/mirrors").iterdir()] == [".json"]


def test_an_address_that_changes_while_it_is_read_is_read_again_later(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = mirroring._fetch

    def fetch_and_grow(*given: Any) -> None:
        fetch(*given)
        (there(project) / "more").write_bytes(b"more")

    with monkeypatch.context() as patched:
        patched.setattr(mirroring, "_fetch", fetch_and_grow)
        with pytest.raises(TryAgain, match="has changed while it was read; run again"):
            bring(project, None, {})
    bring(project, None, {})
    assert held(project / "data/source") == held(there(project))


@pytest.mark.parametrize(
    ("address", "path", "error", "why"),
    [
        ("http://example.org/x", "here", UsageError, "is none; it is s3://BUCKET"),
        ("s3://key:secret@bucket/x", "here", UsageError, "is none"),
        ("file:///nowhere/at/all", "here", StorageError, "holds nothing; name the folder"),
        ("file:///tmp", "/elsewhere", UsageError, "one inside the project"),
        ("file:///tmp", "../elsewhere", UsageError, "one inside the project"),
        ("file:///tmp", ".", UsageError, "one inside the project"),
    ],
)
def test_an_address_or_a_folder_that_cannot_be_one_is_refused(
    project: Path, address: str, path: str, error: type[Exception], why: str
) -> None:
    (project / "params.yaml").write_text(json.dumps({"data": {"path": path, "address": address}}))
    with pytest.raises(error, match=why) as caught:
        bring(project, None, {})
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not (project / "here").exists()


def test_a_folder_that_leads_elsewhere_is_refused(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data/source").symlink_to(project.parent / "there")
    with pytest.raises(StorageError, match="is no folder of its own"):
        bring(project, None, {})


def test_a_folder_is_the_mirror_of_one_address(project: Path) -> None:
    bring(project, None, {})
    with pytest.raises(UsageError, match=r"is the mirror of file://.*/there; name another"):
        mirror(project, f"file://{project.parent}", "data/source")


@pytest.mark.parametrize("name", ["../out", "a//b", "a/./b", "/absolute", "a" * 256, "b/" * 1100 + "c", "a\0b"])
def test_a_name_that_is_no_path_below_the_folder_is_refused(name: str) -> None:
    class Store:
        """A store that holds one file of that name."""

        def find(self, base: str, detail: bool) -> dict[str, Any]:
            return {f"{base}/{name}": {"type": "file", "size": 1, "ETag": "x"}}

    with pytest.raises(DataError, match="which is no name of a file"):
        mirroring._listed(Store(), "bucket", "s3://bucket")


def test_a_file_and_a_folder_of_one_name_are_refused() -> None:
    class Store:
        """A store that has no folders."""

        def find(self, base: str, detail: bool) -> dict[str, Any]:
            return {f"{base}/{name}": {"type": "file", "size": 1, "ETag": "x"} for name in ("a", "a/b")}

    with pytest.raises(DataError, match="holds 'a' and 'a/b': no folder can hold both"):
        mirroring._listed(Store(), "bucket", "s3://bucket")


def test_a_recipe_without_an_address_needs_nothing(project: Path) -> None:
    (project / "params.yaml").write_text("data: {path: samples}\n")
    assert bring(project, None, {}) is None


def test_the_address_may_stand_in_a_config_or_an_override(project: Path) -> None:
    (project / "configs").mkdir()
    (project / "configs/far.yaml").write_text("recipe: {data: {path: data/far}}\n")
    done = bring(project, "configs/far.yaml", {})
    assert done is not None
    assert held(project / "data/far") == held(there(project))
    assert bring(project, None, {"data.path": "data/third"}) == done
    assert held(project / "data/third") == held(there(project))


def test_a_file_that_goes_while_it_is_read_is_another_try(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = mirroring._fetch

    def lose_and_fetch(*given: Any) -> None:
        (there(project) / "notes").unlink()
        fetch(*given)

    monkeypatch.setattr(mirroring, "_fetch", lose_and_fetch)
    with pytest.raises(TryAgain, match="'notes' has gone while it was read; run again"):
        bring(project, None, {})


def test_a_fault_of_our_own_is_not_blamed_on_the_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(mirroring, "_require_own", fail)
    with pytest.raises(KeyError):
        bring(project, None, {})
