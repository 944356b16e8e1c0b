"""What Ratchet asks git, in every kind of checkout, and what it hears where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import StorageError, UsageError
from pipeline.graph import Graph, Stage
from pipeline.runtime.git import Commit, commit_of, git, paths_of_run

ROOT = Path(__file__).parents[2]
FILES = ("code.py", "dvc.lock", "below/x", "below/y")
ALL = ["code.py", "below"]


def commit(checkout: Path, *options: str) -> str:
    """Commit everything in a checkout; return the commit's digest."""
    identity = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    git(checkout, *options, "add", "--all", "--force")
    git(checkout, *options, *identity, "commit", "--quiet", "--message", "x")
    return git(checkout, "rev-parse", "HEAD").strip()


def is_dirty(checkout: Path, *paths: str) -> bool | None:
    """Say whether what a run uses differs from the commit."""
    return commit_of(checkout, paths or ALL).is_dirty


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return a repository without a commit."""
    git(tmp_path, "init", "--quiet", "checkout")
    return tmp_path.resolve() / "checkout"


@pytest.fixture
def checkout(empty: Path) -> Path:
    """Return a repository with one commit of a few files."""
    (empty / "below").mkdir()
    for name in FILES:
        (empty / name).write_text("as committed\n")
    commit(empty)
    return empty


@pytest.fixture
def no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take git from the path."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


def test_git_is_asked_in_a_folder(checkout: Path) -> None:
    assert git(checkout / "below", "rev-parse", "--show-prefix") == "below/\n"


def test_a_refusal_is_told_in_gits_own_words(checkout: Path) -> None:
    with pytest.raises(StorageError, match=r"git switch failed in .*checkout: fatal: invalid reference: nowhere"):
        git(checkout, "switch", "nowhere")


@pytest.mark.usefixtures("no_git")
def test_a_machine_without_git_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="git is not installed; run `make setup`"):
        commit_of(tmp_path, ALL)


def test_there_is_no_commit_before_the_first(empty: Path) -> None:
    with pytest.raises(StorageError, match="git rev-parse failed"):
        commit_of(empty, ALL)


def test_there_is_no_commit_outside_a_repository(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a git repository"):
        commit_of(tmp_path, ALL)


def test_a_clean_checkout_stands_on_its_commit(checkout: Path) -> None:
    (checkout / "code.py").write_text("changed\n")
    digest = commit(checkout)
    assert commit_of(checkout, ALL) == Commit(digest, is_dirty=False)


def stage(checkout: Path) -> None:
    (checkout / "code.py").write_text("staged\n")
    git(checkout, "add", "code.py")


def ignore(checkout: Path) -> None:
    (checkout / ".git" / "info" / "exclude").write_text("below/\n")
    (checkout / "below" / "new").write_text("ignored\n")


def hide(flag: str) -> Callable[[Path], None]:
    def change(checkout: Path) -> None:
        git(checkout, "update-index", flag, "code.py")
        (checkout / "code.py").write_text("hidden\n")

    return change


def same_size_and_time(checkout: Path) -> None:
    path = checkout / "code.py"
    was = path.stat()
    path.write_text("as_committed\n")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def sparse(checkout: Path) -> None:
    git(checkout, "sparse-checkout", "set", "--no-cone", "/code.py")


def unstage(checkout: Path) -> None:
    git(checkout, "rm", "--quiet", "--cached", "code.py")
    shutil.rmtree(checkout / "below")


def link(checkout: Path) -> None:
    (checkout / "code.py").unlink()
    (checkout / "code.py").symlink_to("below/missing")


def folder(checkout: Path) -> None:
    (checkout / "code.py").unlink()
    (checkout / "code.py").mkdir()
    (checkout / "code.py" / "x").touch()


CHANGES: dict[str, Callable[[Path], object]] = {
    "modified": lambda checkout: (checkout / "code.py").write_text("changed\n"),
    "modified without another size or time": same_size_and_time,
    "staged": stage,
    "untracked": lambda checkout: (checkout / "below" / "new").write_text(""),
    "ignored": ignore,
    "skip-worktree": hide("--skip-worktree"),
    "assume-unchanged": hide("--assume-unchanged"),
    "removed": lambda checkout: (checkout / "below" / "x").unlink(),
    "folder removed": lambda checkout: shutil.rmtree(checkout / "below"),
    "not checked out": sparse,
    "removed from the index": unstage,
    "a link in place of a file": link,
    "a folder in place of a file": folder,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_files_that_differ_from_the_commit_are_told(checkout: Path, change: Callable[[Path], object]) -> None:
    change(checkout)
    assert is_dirty(checkout) is True


def compile_it(checkout: Path) -> None:
    (checkout / "below" / "__pycache__").mkdir()
    (checkout / "below" / "__pycache__" / "x.pyc").touch()


def stage_and_set_back(checkout: Path) -> None:
    stage(checkout)
    (checkout / "code.py").write_text("as committed\n")


NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda checkout: checkout,
    "DVC's lock": lambda checkout: (checkout / "dvc.lock").write_text("changed\n"),
    "a file that the run does not use": lambda checkout: (checkout / "notes.txt").write_text(""),
    "Python's caches": compile_it,
    "another time": lambda checkout: os.utime(checkout / "code.py", (1, 1)),
    "staged, then set back": stage_and_set_back,
    "detached": lambda checkout: git(checkout, "switch", "--quiet", "--detach"),
    "an index that is gone": lambda checkout: (checkout / ".git" / "index").unlink(),
    "an index that is locked": lambda checkout: (checkout / ".git" / "index.lock").write_text(""),
    "objects that are packed": lambda checkout: git(checkout, "gc", "--quiet"),
}


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES.keys())
def test_files_that_are_those_of_the_commit_are_told(checkout: Path, change: Callable[[Path], object]) -> None:
    change(checkout)
    assert commit_of(checkout, ALL) == Commit(git(checkout, "rev-parse", "HEAD").strip(), is_dirty=False)


def test_the_whole_folder_can_be_asked_for(checkout: Path) -> None:
    git(checkout, "mv", "dvc.lock", "other")
    (checkout / ".git").rename(checkout.parent / "kept")
    (checkout / ".git").write_text(f"gitdir: {checkout.parent / 'kept'}")
    (checkout / "other").unlink()
    assert is_dirty(checkout, "below") is False
    (checkout / "code.py").unlink()
    assert is_dirty(checkout, ".") is True


def test_what_neither_the_folder_nor_the_commit_has_does_not_count(checkout: Path) -> None:
    assert is_dirty(checkout, "code.py", ".dvcignore", "nowhere/at/all") is False


@pytest.mark.parametrize("path", ["../elsewhere", "/etc/hosts"])
def test_what_is_outside_the_folder_is_unknown(checkout: Path, path: str) -> None:
    assert is_dirty(checkout, "code.py", path) is None


# Every kind of checkout: made from the one above, each returns its folder.


def subfolder(checkout: Path, _: Path) -> Path:
    (checkout / "project" / "below").mkdir(parents=True)
    for name in FILES:
        (checkout / "project" / name).write_text("as committed\n")
    commit(checkout)
    (checkout / "code.py").write_text("changed outside the project\n")
    return checkout / "project"


def submodule(checkout: Path, base: Path) -> Path:
    git(base, "init", "--quiet", "outer")
    git(base / "outer", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout), "inner")
    commit(base / "outer")
    return base / "outer" / "inner"


def worktree(checkout: Path, base: Path) -> Path:
    git(checkout, "worktree", "add", "--quiet", "--detach", str(base / "tree"))
    return base / "tree"


def worktree_of_bare(checkout: Path, base: Path) -> Path:
    git(base, "clone", "--quiet", "--bare", str(checkout), "bare")
    git(base / "bare", "worktree", "add", "--quiet", "--detach", str(base / "tree"))
    return base / "tree"


def shallow(checkout: Path, base: Path) -> Path:
    (checkout / "code.py").write_text("the last of two commits\n")
    commit(checkout)
    git(base, "clone", "--quiet", "--depth=1", checkout.as_uri(), "shallow")
    return base / "shallow"


def by_a_link(checkout: Path, base: Path) -> Path:
    (base / "link").symlink_to(checkout)
    return base / "link"


def odd_folder(checkout: Path, base: Path) -> Path:
    return checkout.rename(base / "a folder, 'quoted' [50%] #1 ü")


def odd_bytes(checkout: Path, base: Path) -> Path:
    return checkout.rename(os.fsdecode(os.fsencode(base) + b"/caf\xe9"))


def in_sha256(_: Path, base: Path) -> Path:
    git(base, "init", "--quiet", "--object-format=sha256", "other")
    (base / "other" / "below").mkdir()
    for name in FILES:
        (base / "other" / name).write_text("as committed\n")
    commit(base / "other")
    return base / "other"


CHECKOUTS = (
    subfolder, submodule, worktree, worktree_of_bare, shallow, by_a_link, odd_folder, odd_bytes, in_sha256
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("make", CHECKOUTS)
def test_every_kind_of_checkout_has_its_commit(
    checkout: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    folder = make(checkout, tmp_path)
    expected = git(folder, "rev-parse", "HEAD").strip()
    assert commit_of(folder, ALL) == Commit(expected, is_dirty=False)
    (folder / "below" / "new").touch()
    assert commit_of(folder, ALL) == Commit(expected, is_dirty=True)


def test_a_submodule_that_a_run_uses_is_compared_with_its_own_commit(checkout: Path, tmp_path: Path) -> None:
    inner = submodule(checkout, tmp_path)
    outer = inner.parent
    assert is_dirty(outer, "inner/below", "inner/code.py") is False
    (inner / "below" / "x").write_text("changed\n")
    assert is_dirty(outer, "inner/below") is True
    assert is_dirty(outer, "inner/code.py") is False
    commit(inner)
    assert is_dirty(outer, "inner/code.py") is True


def test_inside_a_hook_of_another_repository_this_one_is_asked(checkout: Path, tmp_path: Path) -> None:
    """A hook of git starts a process with its own repository, index and folder in the environment."""
    git(tmp_path, "init", "--quiet", "other")
    hook = tmp_path / "other" / ".git" / "hooks" / "pre-commit"
    script = (
        f"#!{sys.executable}\nimport os, sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
        "from pipeline.runtime.git import commit_of\n"
        "assert os.environ['GIT_INDEX_FILE']\n"
        f"print(commit_of(Path({str(checkout)!r}), {ALL!r}), file=open('said', 'w'))\n"
    )
    hook.write_text(script)
    hook.chmod(0o755)
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(command, cwd=tmp_path / "other", check=True)
    assert (tmp_path / "other" / "said").read_text() == f"{commit_of(checkout, ALL)}\n"
    assert commit_of(checkout, ALL).is_dirty is False


@pytest.mark.parametrize(
    "variable", ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"]
)
def test_no_variable_of_git_names_another_repository(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/nowhere")
    assert is_dirty(checkout) is False


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_checkout_of_another_user_is_read(checkout: Path) -> None:
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 12345, 12345)
    assert is_dirty(checkout) is False


def test_nothing_that_a_repository_configures_is_executed(checkout: Path, tmp_path: Path) -> None:
    touch = f"touch {tmp_path}/executed #"
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "filter.evil.clean", "filter.evil.process"):
        git(checkout, "config", key, touch)
    git(checkout, "config", "filter.evil.required", "true")
    hooks = checkout / ".git" / "hooks"
    for name in ("post-index-change", "fsmonitor-watchman", "post-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\n{touch}\n")
        (hooks / name).chmod(0o755)
    (checkout / ".gitattributes").write_text("*.py filter=evil\n")
    (checkout / "code.py").write_text("changed\n")
    assert is_dirty(checkout) is None
    assert not (tmp_path / "executed").exists()


def lfs_checkout(checkout: Path, content: str) -> None:
    """Commit a file as Git LFS does, by its pointer, and check it out as Git LFS does: its content."""
    (checkout / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    oid = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"  # of "hello\n"
    (checkout / "below" / "x.bin").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 6\n")
    commit(checkout, "-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
    (checkout / "below" / "x.bin").write_text(content)


@pytest.mark.parametrize(("content", "expected"), [("hello\n", False), ("other\n", True)])
def test_files_in_lfs_are_compared_whether_or_not_it_is_installed(checkout: Path, content: str, expected: bool) -> None:
    lfs_checkout(checkout, content)
    assert is_dirty(checkout) is expected


def test_what_a_filter_has_converted_is_unknown_unless_something_else_differs(checkout: Path) -> None:
    (checkout / ".gitattributes").write_text("code.py filter=absent\n")
    commit(checkout)
    assert is_dirty(checkout) is False  # stored as it is
    (checkout / "code.py").write_text("decrypted, perhaps\n")
    assert is_dirty(checkout) is None
    (checkout / "below" / "x").write_text("changed\n")
    assert is_dirty(checkout) is True


@pytest.mark.parametrize("project", ["", "project"])
def test_the_ends_of_lines_that_git_converts_are_no_change(checkout: Path, project: str) -> None:
    folder = checkout / project
    folder.mkdir(exist_ok=True)
    (checkout / ".gitattributes").write_text("*.txt text eol=crlf\n")
    for name in ("a.txt", 'odd "name"\n\\.txt'):
        (folder / name).write_bytes(b"one\r\ntwo\r\n")
    commit(checkout)
    assert git(folder, "show", "HEAD:./a.txt") == "one\ntwo\n"
    assert is_dirty(folder, "a.txt", 'odd "name"\n\\.txt') is False
    (folder / "a.txt").write_bytes(b"one\r\nthree\r\n")
    assert is_dirty(folder, "a.txt") is True


def test_a_link_counts_with_what_it_points_to(checkout: Path, tmp_path: Path) -> None:
    (checkout / "link").symlink_to("code.py")
    (checkout / "folder").symlink_to("below", target_is_directory=True)
    (checkout / "outside").symlink_to(tmp_path / "outside")
    (checkout / "loop").symlink_to("loop")
    (tmp_path / "outside").write_text("not in the commit\n")
    commit(checkout)
    assert is_dirty(checkout, "link", "folder") is False
    assert is_dirty(checkout, "outside") is None
    assert is_dirty(checkout, "folder/x") is False
    (checkout / "code.py").write_text("changed\n")
    assert is_dirty(checkout, "link") is True
    (checkout / "folder").unlink()
    (checkout / "folder").symlink_to("elsewhere", target_is_directory=True)
    (checkout / "elsewhere").symlink_to("below", target_is_directory=True)
    assert is_dirty(checkout, "folder/x") is True


@pytest.mark.long
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.binary(min_size=1, max_size=30).filter(
            lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..") and name.lower() != b".git"
        ),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_any_file_name_is_compared(tmp_path_factory: pytest.TempPathFactory, names: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("names")
    git(folder, "init", "--quiet")
    (folder / "in").mkdir()
    paths = [os.fsdecode(os.fsencode(folder / "in") + b"/" + name) for name in names]
    for path in paths:
        Path(path).write_bytes(b"as committed\n")
    commit(folder)
    assert is_dirty(folder, "in") is False
    assert is_dirty(folder, *(os.path.relpath(path, folder) for path in paths)) is False
    Path(paths[-1]).write_bytes(b"changed\n")
    assert is_dirty(folder, "in") is True
    shutil.rmtree(folder)


def test_a_pipe_in_place_of_a_file_is_told(checkout: Path) -> None:
    (checkout / "below" / "x").unlink()
    os.mkfifo(checkout / "below" / "x")
    assert is_dirty(checkout) is True


def test_it_is_quick(checkout: Path) -> None:
    """A few calls of git, and one reading of each file: 20 ms for this repository, measured on two busy cores."""
    for number in range(300):
        (checkout / "below" / f"{number}.py").write_text("x = 1\n" * 500)
    commit(checkout)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        commit_of(checkout, ALL)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.25


def test_a_run_uses_its_code_its_settings_and_what_no_stage_makes() -> None:
    stages = (
        Stage("ingest", "x", deps=("samples/x", "pipeline/data", "contracts/raw.yaml"), outs=("data/raw",)),
        Stage("train", "x", deps=("data/raw/part", "extra"), outs=("models",), param_files=("own.yaml", "data/raw/p")),
    )
    graph = Graph(stages, {"ingest": frozenset(), "train": frozenset({"ingest"})})
    assert paths_of_run(graph, "samples/x") == (
        *("pipeline", "params.yaml", "dvc.yaml", "execution.yaml", ".dvcignore"),
        *("contracts/raw.yaml", "extra", "own.yaml"),
    )
