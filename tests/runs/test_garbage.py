"""Only what nothing needs is freed, and on any doubt nothing is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, StorageError, TryAgain, UsageError
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.registry.versions import PHOTOGRAPH, Version
from pipeline.runs import garbage, needed, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.garbage import Garbage
from pipeline.runs.locks import run_lock, same_work_lock
from pipeline.runs.photograph_store import PhotographStore
from pipeline.storage.record_files import write_record
from tests.runs.kept import finished, lock_of, make_project, photographed, put, put_folder

DVC_FILE = "outs:\n- md5: {digest}\n  size: 1\n  hash: md5\n  path: data\n"


@pytest.fixture(autouse=True)
def _nothing_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_YOUNG_S", 0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def find(*projects: Path) -> Garbage:
    return garbage.find(projects, lambda _: None)


def found(*projects: Path) -> set[str]:
    """Return the digests of what would be freed."""
    return {f"{one.path.parent.name}{one.path.name}" for one in find(*projects).objects}


def free(*projects: Path) -> None:
    garbage.free(find(*projects), lambda _: None)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def commit_all(root: Path) -> None:
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "start")


# What is needed.

PLACES = [
    "dvc.lock",
    "runs/r1/dvc.lock",
    "runs/r1/attempts/2/dvc.lock",
    "runs/not a run/dvc.lock",
    ".ratchet/workspaces/r1/dvc.lock",
    ".worktrees/old/dvc.lock",
]


@pytest.mark.parametrize("place", PLACES)
def test_what_a_lock_names_is_kept_with_all_that_is_in_it(root: Path, place: str) -> None:
    file, folder, other = put(root, b"file"), put_folder(root, {"a": b"1", "b": b"2"}), put(root, b"other")
    write(root / place, lock_of(out=file, folder=folder))
    assert found(root) == {other}


def test_what_a_run_read_is_kept_as_what_it_made(root: Path) -> None:
    read = put(root, b"a source under dvc add, as it was then")
    write(root / "runs/r1/dvc.lock", f"stages:\n  s:\n    cmd: x\n    deps:\n    - {{path: source, md5: {read}}}\n")
    assert found(root) == set()


def test_a_lock_of_dvc_1_is_read_too(root: Path) -> None:
    old = put(root, b"old")
    write(root / "runs/r1/dvc.lock", f"train:\n  cmd: x\n  outs:\n  - path: out\n    md5: {old}\n")
    assert found(root) == set()


def test_data_that_dvc_tracks_are_kept(root: Path) -> None:
    digest, other = put(root, b"data"), put(root, b"other")
    write(root / "deep" / "data.dvc", DVC_FILE.format(digest=digest))
    assert found(root) == {other}


def test_what_dvc_cannot_read_in_a_run_is_no_reason_to_refuse(root: Path) -> None:
    write(root / "runs/r1/dvc.yaml", "stages: {s: {command: of a later DVC}}")
    assert found(root) == set()


@pytest.mark.long
@pytest.mark.parametrize("kept_as", ["branch", "tag", "annotated tag", "remote", "detached"])
def test_what_git_can_check_out_is_kept(root: Path, kept_as: str) -> None:
    locked, added, other = put(root, b"locked"), put(root, b"added"), put(root, b"other")
    commit_all(root)
    git(root, "checkout", "--quiet", "-b", "work")
    write(root / "dvc.lock", lock_of(out=locked))
    write(root / "data.dvc", DVC_FILE.format(digest=added))
    git(root, "add", "-f", "dvc.lock", "data.dvc")
    git(root, "commit", "--quiet", "-m", "work")
    if kept_as == "detached":
        git(root, "checkout", "--quiet", "--detach")
    elif kept_as == "remote":
        git(root, "update-ref", "refs/remotes/origin/work", "work")
    elif kept_as != "branch":
        git(root, "tag", "v1", *(["-m", "one"] if kept_as == "annotated tag" else []))
    if kept_as != "detached":
        git(root, "checkout", "--quiet", "main")
    else:
        (root / "dvc.lock").unlink()
        (root / "data.dvc").unlink()
    if kept_as != "branch":
        git(root, "branch", "--quiet", "-D", "work")
    assert not (root / "dvc.lock").exists()
    assert found(root) == {other}


def test_what_a_stash_holds_is_kept(root: Path) -> None:
    write(root / "dvc.lock", lock_of(out=put(root, b"old")))
    commit_all(root)
    for content in (b"first stash", b"second stash"):
        write(root / "dvc.lock", lock_of(out=put(root, content)))
        git(root, "stash")
    write(root / "data.dvc", DVC_FILE.format(digest=put(root, b"that git did not know")))
    git(root, "stash", "--include-untracked")
    assert found(root) == set()
    git(root, "stash", "clear")
    assert len(found(root)) == 3


def test_a_project_in_a_subfolder_of_a_repository_is_asked_for_its_own(tmp_path: Path) -> None:
    root = make_project(tmp_path / "repository" / "a project")
    write(root / "dvc.lock", lock_of(out=put(root, b"on a branch")))
    commit_all(root.parent)
    write(root / "dvc.lock", lock_of())
    assert found(root) == set()


# Photographs.


def test_photographs_of_runs_attempts_workspaces_and_versions_are_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs = [photographed(root, {"a": b"same", "b": f"only of {number}".encode()}) for number in range(5)]
    finished(root, photograph=photographs[0])
    finished(root, attempt=2, photograph=photographs[1])
    write_record(root / ".ratchet/workspaces/r2" / ORIGIN_FILE, Origin(home=".", run="r2", photograph=photographs[2]))
    in_registry(monkeypatch, {PHOTOGRAPH: photographs[3]}, {PHOTOGRAPH: "none"}, {})
    store = PhotographStore(cache_of(root))
    alone = store.digests(photographs[4]) - set.union(*(store.digests(one) for one in photographs[:4]))
    assert len(alone) == 2  # its list and one file
    assert found(root) == alone
    free(root)
    for one in photographs[:4]:
        assert all(store.path(digest).is_file() for digest in store.digests(one))


def test_what_a_killed_process_left_beside_them_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            photographed(root, {"a": b"1"})
    [left] = [path for path in PhotographStore(cache_of(root)).folder.rglob("*") if path.is_file()]
    free(root)
    assert not left.exists()


def test_a_photograph_found_again_is_young(root: Path) -> None:
    digest = photographed(root, {"a": b"1"})
    store = PhotographStore(cache_of(root))
    before = {one: store.path(one).stat() for one in store.digests(digest)}
    photographed(root, {"a": b"1"})
    for one, status in before.items():
        after = store.path(one).stat()
        assert after.st_ctime_ns > status.st_ctime_ns
        assert (after.st_mtime_ns, after.st_ino) == (status.st_mtime_ns, status.st_ino)


def in_registry(monkeypatch: pytest.MonkeyPatch, *tags: dict[str, str]) -> None:
    class Reader:
        def names(self) -> list[str]:
            return ["digits"]

        def versions(self, name: str) -> list[Version]:
            return [Version(name, number, "", "", each) for number, each in enumerate(tags, 1)]

    monkeypatch.setattr(needed, "open_reader", lambda _: Reader())


# Freeing.


def test_what_is_young_is_spared_and_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, b"new")
    old_by_its_times = cache_of(root).path(put(root, b"moved into the cache, with the times that it had"))
    os.utime(old_by_its_times, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(garbage, "_YOUNG_S", 3600.0)
    assert (find(root).objects, find(root).young) == ((), 2)


def test_what_becomes_young_meanwhile_is_spared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cache_of(root).path(put(root, b"old"))
    planned = find(root)
    monkeypatch.setattr(garbage, "_YOUNG_S", 3600.0)
    assert garbage.free(planned, lambda _: None) == 0
    assert path.is_file()


def test_what_is_no_object_is_left_alone(root: Path) -> None:
    put(root, b"x")
    folder = cache_of(root).folder
    others = [folder / "files/md5/ab/notes.txt", folder / "README", folder / "files/sha256/ab" / ("0" * 30)]
    for path in others:
        write(path, "")
    free(root)
    assert all(path.is_file() for path in others)


def test_lists_go_before_what_they_list(root: Path) -> None:
    put_folder(root, {str(number): str(number).encode() for number in range(20)})
    photographed(root, {"a": b"1"})
    kinds = [one.path.suffix == ".dir" for one in find(root).objects]
    assert kinds == sorted(kinds, reverse=True)


def test_an_entry_of_the_run_cache_goes_with_its_outputs(root: Path) -> None:
    def entry(name: str, *outs: str) -> Path:
        path = cache_of(root).folder / "runs" / name[:2] / (name * 32)[:64] / ("0" * 64)
        listed = "".join(f"- path: out\n  md5: {digest}\n" for digest in outs)
        write(path, f"cmd: x\nouts:\n{listed}")
        return path

    kept = put(root, b"kept")
    write(root / "dvc.lock", lock_of(out=kept))
    stays, goes = entry("aa", kept), [entry("bb", kept, put(root, b"freed")), entry("cc", "f" * 32)]
    assert {one.path for one in find(root).objects if one.kind == garbage.RUN_CACHE} == set(goes)
    free(root)
    assert stays.is_file()
    assert not any(path.exists() for path in goes)
    assert find(root).objects == ()


# Doubt.


@pytest.mark.parametrize("place", PLACES)
def test_a_lock_that_cannot_be_read_is_named_and_nothing_is_freed(root: Path, place: str) -> None:
    put(root, b"other")
    write(root / place, "<<<<<<< HEAD\nstages: {}\n")
    with pytest.raises(StorageError, match=r"dvc\.lock.*nothing is freed") as caught:
        find(root)
    assert place.rpartition("/")[0] in str(caught.value)


def test_a_lock_of_git_that_cannot_be_read_is_named(root: Path) -> None:
    write(root / "dvc.lock", "<<<<<<< HEAD\n")
    commit_all(root)
    (root / "dvc.lock").unlink()
    with pytest.raises(StorageError, match=r"dvc\.lock of git's object [0-9a-f]{10}.*nothing is freed"):
        find(root)


def test_a_record_that_cannot_be_read_is_named(root: Path) -> None:
    write(root / "runs/r1/record.json", "{")
    with pytest.raises(StorageError, match=r"runs/r1/record\.json: not a run's record"):
        find(root)


@pytest.mark.parametrize("name", ["data.dvc", "dvc.yaml", "deep/dvc.yaml"])
def test_what_dvc_cannot_read_is_named(root: Path, name: str) -> None:
    write(root / name, "outs: 3\nstages: 3\n")
    with pytest.raises(StorageError, match=f"DVC cannot say what it tracks.*{Path(name).name}.*nothing is freed"):
        find(root)


def test_a_data_file_of_git_that_dvc_cannot_read_is_named(root: Path) -> None:
    write(root / "data.dvc", "outs: 3\n")
    commit_all(root)
    (root / "data.dvc").unlink()
    with pytest.raises(
        StorageError, match=r"a \.dvc file of git \(`git cat-file blob [0-9a-f]{40}`\).*nothing is freed"
    ):
        find(root)


def test_a_damaged_list_of_a_folder_is_named(root: Path) -> None:
    folder = put_folder(root, {"a": b"1"})
    write(root / "dvc.lock", lock_of(out=folder))
    cache_of(root).path(folder).write_text("[]")
    with pytest.raises(DataError, match=r"damaged.*nothing is freed"):
        find(root)


def test_a_list_that_is_gone_needs_nothing(root: Path) -> None:
    write(root / "dvc.lock", lock_of(out=f"{'0' * 32}.dir"))
    assert found(root) == set()


def test_a_damaged_photograph_is_named(root: Path) -> None:
    digest = photographed(root, {"a": b"1"})
    finished(root, photograph=digest)
    path = PhotographStore(cache_of(root)).path(digest)
    path.chmod(0o600)
    path.write_text("[]")
    with pytest.raises(StorageError, match="damaged"):
        find(root)


def test_a_repository_that_git_cannot_read_is_a_refusal(root: Path) -> None:
    (root / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(StorageError, match="git cannot say what its branches need, so nothing is freed"):
        find(root)


def test_a_registry_that_cannot_be_reached_is_a_refusal(root: Path) -> None:
    write(root / "execution.yaml", "mlflow: {uri: 'http://127.0.0.1:9'}\n")
    with pytest.raises(StorageError, match="what its versions need is not known, so nothing is freed"):
        find(root)


def test_a_tag_that_is_no_digest_is_a_refusal(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_registry(monkeypatch, {PHOTOGRAPH: "the one of Tuesday"})
    with pytest.raises(DataError, match=r"digits v1: tag ratchet\.photograph is no digest.*nothing is freed"):
        find(root)


# Who shares the cache, and who works.


def shared(tmp_path: Path, name: str) -> Path:
    root = make_project(tmp_path / name)
    (root / ".dvc" / "config").write_text("[cache]\n    dir = ../../cache\n")
    return root


def test_a_cache_elsewhere_needs_every_project_that_shares_it(tmp_path: Path) -> None:
    one, other = shared(tmp_path, "one"), shared(tmp_path, "other")
    write(other / "runs/r1/dvc.lock", lock_of(out=put(other, b"of the other")))
    put(one, b"of nobody")
    with pytest.raises(UsageError, match=r"is .*/cache, outside of this project.*--project"):
        garbage.projects_of(one, [])
    assert garbage.projects_of(one, [one]) == [one]
    projects = garbage.projects_of(one, [other])
    assert projects == [one, other]
    assert len(found(*projects)) == 1


def test_a_project_that_does_not_share_the_cache_is_refused(tmp_path: Path) -> None:
    one, other = shared(tmp_path, "one"), make_project(tmp_path / "other")
    with pytest.raises(UsageError, match="its DVC cache is not"):
        garbage.projects_of(one, [other])
    with pytest.raises(UsageError, match="no project of DVC"):
        garbage.projects_of(one, [tmp_path])


@pytest.mark.parametrize(
    "working",
    [
        run_lock,
        lambda root: run_lock(workspaces.workspace_of(root, "r1")),
        lambda root: same_work_lock(root, "sha256:" + "0" * 64),
        lambda root: same_work_lock(root, "sha256:" + "0" * 64, "train"),
    ],
)
def test_while_a_run_works_nothing_is_freed(root: Path, working: Callable[[Path], Any]) -> None:
    said = r"a run works in .*: nothing is freed meanwhile"
    with working(root), pytest.raises(TryAgain, match=said), garbage.standing_still([root]):
        pass


def test_while_it_frees_no_run_can_begin_or_go_on(root: Path) -> None:
    workspaces.workspace_of(root, "r1").mkdir(parents=True)
    with garbage.standing_still([root]):
        for folder in (root, workspaces.workspace_of(root, "r1")):
            with pytest.raises(TryAgain), run_lock(folder):
                pass
    with run_lock(root):
        pass  # and then it can


def test_while_dvc_works_nothing_is_freed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0.06)  # seconds that it waits for a lock
    repo = Repo(str(root), config={"core": {"no_scm": True}})
    with repo, repo.lock, pytest.raises(TryAgain, match="another DVC command"), garbage.standing_still([root]):
        pass
