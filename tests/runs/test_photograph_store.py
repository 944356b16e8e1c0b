"""Photographs are kept by content: once, whole, and out of the way of DVC's own cleaning."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.errors import StorageError, TryAgain
from pipeline.runs import photograph_store
from pipeline.runs.dvc_cache import DvcCache
from pipeline.runs.hashes import md5_of_bytes
from pipeline.runs.photograph import Photograph
from pipeline.runs.photograph_store import PhotographStore
from tests.runs.given import contents, photographed, write_files

CODE = md5_of_bytes(b"the code")


@pytest.fixture
def store(root: Path) -> PhotographStore:
    return PhotographStore(DvcCache(root / ".dvc" / "cache"))


def keep(store: PhotographStore, root: Path) -> Photograph:
    taken = photographed(root).photograph
    assert store.keep(taken, root, {}) == taken.digest
    return taken


def spoil(store: PhotographStore, digest: str, content: bytes) -> None:
    """Replace an object by other bytes, as a damaged disk would."""
    store.path(digest).unlink()
    store.path(digest).write_bytes(content)


def test_what_is_kept_is_read_again(root: Path, store: PhotographStore) -> None:
    taken = keep(store, root)
    assert store.has(taken.digest)
    assert store.read(taken.digest) == taken
    assert store.content(taken, "pipeline/code.py") == b"the code"


def test_objects_stand_where_dvc_would_have_them_and_nothing_else_is_left(root: Path, store: PhotographStore) -> None:
    taken = keep(store, root)
    listing = md5_of_bytes(taken.listing)
    expected = {store.path(digest) for digest in (taken.digest, listing, *taken.files.values())}
    assert store.path(CODE) == root / ".dvc/cache/ratchet/photographs" / CODE[:2] / CODE[2:]
    assert {path for path in store.folder.rglob("*") if path.is_file()} == expected
    assert {store.path(digest) for digest in store.digests(taken.digest)} == expected


def test_objects_are_for_reading_only_and_what_can_be_executed_is_not(root: Path, store: PhotographStore) -> None:
    (root / "pipeline" / "code.py").chmod(0o700)
    taken = keep(store, root)
    assert store.path(CODE).stat().st_mode & 0o777 == 0o400
    assert store.path(taken.files["dvc.yaml"]).stat().st_mode & 0o222 == 0


def test_an_object_is_kept_once(root: Path, store: PhotographStore) -> None:
    keep(store, root)
    before = {path: path.stat() for path in store.folder.rglob("*")}
    write_files(root, {"pipeline/copy.py": "the code", "pipeline/new.py": "new"})
    keep(store, root)
    after = {path: path.stat() for path in store.folder.rglob("*") if path.is_file()}
    assert all(after[path].st_ino == before[path].st_ino for path in after if path in before)
    assert len(after) == sum(path.is_file() for path in before) + 2  # the new file, and the new photograph


def test_the_runs_own_recipe_is_kept_as_it_is_given(root: Path, store: PhotographStore) -> None:
    taken = photographed(root).photograph
    own = Photograph({**taken.files, "params.yaml": md5_of_bytes(b"mine")}, taken.references)
    store.keep(own, root, {"params.yaml": b"mine"})
    assert store.content(own, "params.yaml") == b"mine"


@pytest.mark.parametrize("change", ["content", "size", "remove"])
def test_a_file_that_has_changed_since_it_was_photographed_is_told_and_no_photograph_is_there(
    root: Path, store: PhotographStore, change: str
) -> None:
    taken, code = photographed(root).photograph, root / "pipeline" / "code.py"
    if change == "remove":
        code.unlink()
    else:
        code.write_text("the codE" if change == "content" else "other code")
    with pytest.raises(TryAgain, match=r"^pipeline/code\.py has changed while it was photographed; run again$"):
        store.keep(taken, root, {})
    assert not store.has(taken.digest)
    assert list(store.folder.rglob("*.partial-*")) == []


def test_an_object_that_a_crash_cut_off_is_written_anew(root: Path, store: PhotographStore) -> None:
    taken = keep(store, root)
    for digest in (CODE, taken.digest):
        spoil(store, digest, store.path(digest).read_bytes()[:3])
    keep(store, root)
    assert store.read(taken.digest) == taken
    assert store.content(taken, "pipeline/code.py") == b"the code"


def killed_before(store: PhotographStore, monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    """Have the process killed before an object has its name."""
    rename = os.rename

    def killed(aside: str, target: str) -> None:
        if target == str(store.path(digest)):
            raise KeyboardInterrupt
        rename(aside, target)

    monkeypatch.setattr(photograph_store.os, "rename", killed)


@pytest.mark.parametrize("which", ["an object", "the photograph"])
def test_a_process_killed_before_the_end_has_left_no_photograph_and_is_in_nobodys_way(
    root: Path, store: PhotographStore, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    taken = photographed(root).photograph
    with monkeypatch.context() as patch:
        killed_before(store, patch, CODE if which == "an object" else taken.digest)
        with pytest.raises(KeyboardInterrupt):
            store.keep(taken, root, {})
    assert not store.has(taken.digest)
    [left] = store.folder.rglob("*.partial-*")
    (root / "left").hardlink_to(left)
    (root / "left").write_text("nobody but root may write it")
    keep(store, root)  # in a process with the same id, as in a container
    assert (root / "left").read_text() == "nobody but root may write it"
    assert store.read(taken.digest) == taken
    assert not list(store.folder.rglob("*.partial-*"))


def test_an_object_that_the_disk_takes_only_in_part_is_not_published(root: Path, store: PhotographStore) -> None:
    # The kernel may take a part of what is written, and refuses only the next write; so it does at this limit.
    taken = photographed(root).photograph
    (root / ".dvc" / "cache").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written: File too large"):
            store.keep(taken, root, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in store.folder.rglob("*") if path.is_file()]


def test_a_photograph_that_is_not_there_says_where_it_may_be(store: PhotographStore) -> None:
    with pytest.raises(
        StorageError, match=r"photograph abcdef12: .* cannot be read: No such file .*`ratchet runs pull"
    ):
        store.read("abcdef1234567890.dir")


@pytest.mark.parametrize("part", ["tree", "references"])
def test_a_damaged_photograph_is_told(root: Path, store: PhotographStore, part: str) -> None:
    taken = keep(store, root)
    digest = taken.digest if part == "tree" else md5_of_bytes(taken.listing)
    content = store.path(digest).read_bytes()
    spoil(store, digest, content.replace(b'"', b"'"))  # of the same length
    with pytest.raises(StorageError, match="is damaged or not whole"):
        store.read(taken.digest)


@pytest.mark.parametrize("tree", [b"{}", b"[]", b"[3]", b"not JSON", b'[{"relpath": "a"}]', b"\xff"])
def test_what_is_no_photograph_is_damaged(store: PhotographStore, tree: bytes) -> None:
    digest = md5_of_bytes(tree) + ".dir"
    write_files(store.folder, {f"{digest[:2]}/.folder": ""})
    store.path(digest).write_bytes(tree)
    with pytest.raises(StorageError, match="is damaged or not whole"):
        store.read(digest)


def test_a_laid_out_photograph_is_the_files_as_links(root: Path, store: PhotographStore, tmp_path: Path) -> None:
    taken = keep(store, root)
    store.lay_out(taken, tmp_path / "there")
    assert set(contents(tmp_path / "there")) == set(taken.files)
    assert (tmp_path / "there" / "pipeline" / "code.py").samefile(store.path(CODE))


def test_where_links_cannot_be_files_are_copied(
    root: Path, store: PhotographStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(photograph_store.os, "link", refuse)
    store.lay_out(keep(store, root), tmp_path / "there")
    copy = tmp_path / "there" / "pipeline" / "code.py"
    assert copy.read_text() == "the code"
    assert not copy.samefile(store.path(CODE))


@pytest.mark.parametrize("content", [b"the codE", b"", None])
def test_a_damaged_object_is_not_laid_out(
    root: Path, store: PhotographStore, tmp_path: Path, content: bytes | None
) -> None:
    taken = keep(store, root)
    store.path(CODE).unlink() if content is None else spoil(store, CODE, content)
    with pytest.raises(StorageError, match="is damaged or not whole"):
        store.lay_out(taken, tmp_path / "there")


def test_a_cache_that_cannot_be_written_is_named(root: Path) -> None:
    store = PhotographStore(DvcCache(Path("/proc/cache")))
    with pytest.raises(StorageError, match=r"^/proc/cache/ratchet/photographs: cannot be written: "):
        keep(store, root)


def test_a_shared_cache_may_be_written_by_the_group(root: Path) -> None:
    store = PhotographStore(DvcCache(root / "cache", is_shared=True))
    keep(store, root)
    for folder in (store.folder.parent, store.folder, store.path(CODE).parent):
        assert folder.stat().st_mode & 0o7777 == 0o2775


@pytest.mark.long
def test_dvcs_own_cleaning_leaves_photographs_alone(root: Path, store: PhotographStore) -> None:
    taken = keep(store, root)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "echo", "deps": ["source"]}}}))
    write_files(root, {".dvc/cache/files/md5/ab/cd": "an object that nothing needs"})
    (root / ".dvc" / "config").write_text("[core]\nno_scm = True\nanalytics = False\n")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "gc", "-w", "-f"], cwd=root, capture_output=True, text=True, check=True
    )
    assert not (root / ".dvc/cache/files/md5/ab/cd").exists(), done.stdout + done.stderr
    store.lay_out(store.read(taken.digest), root / "again")
    assert set(contents(root / "again")) == set(taken.files)


def test_an_object_that_was_written_to_through_a_workspace_is_not_trusted_by_the_next_run(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "pipeline").mkdir(parents=True)
    (root / "pipeline" / "code.py").write_text("epochs = 3")
    store = PhotographStore(DvcCache(tmp_path / "cache"))
    photograph = Photograph({"pipeline/code.py": md5_of_bytes(b"epochs = 3")}, {})
    store.keep(photograph, root, {})
    (tmp_path / "first").mkdir()
    store.lay_out(photograph, tmp_path / "first", is_new=True)
    linked = tmp_path / "first" / "pipeline" / "code.py"
    linked.chmod(0o644)
    linked.write_text("epochs = 5")  # in place, and of the same size
    store.keep(photograph, root, {})
    (tmp_path / "second").mkdir()
    store.lay_out(photograph, tmp_path / "second", is_new=True)
    assert (tmp_path / "second" / "pipeline" / "code.py").read_text() == "epochs = 3"
