"""What Ratchet asks git, and what it hears where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import StorageError, UsageError
from pipeline.runtime.git import Commit, commit_of, git, has_commit, main_checkout


def commit(checkout: Path) -> str:
    """Commit everything in a checkout; return the commit's digest."""
    git(checkout, "add", "--all")
    git(checkout, "-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit", "--quiet", "--message", "x")
    return git(checkout, "rev-parse", "HEAD").strip()


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return a repository without a commit."""
    git(tmp_path, "init", "--quiet", "checkout")
    return tmp_path.resolve() / "checkout"


@pytest.fixture
def checkout(empty: Path) -> Path:
    """Return a repository with one commit of a file, a lock and a folder."""
    (empty / "below").mkdir()
    for name in ("code.py", "dvc.lock", "below/x"):
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
        git(tmp_path, "status")


def test_a_repository_with_a_commit_has_one(checkout: Path) -> None:
    assert has_commit(checkout / "below")


def test_a_repository_without_a_commit_has_none(empty: Path) -> None:
    assert not has_commit(empty)


def test_a_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert not has_commit(tmp_path)


def test_a_clean_checkout_stands_on_its_commit(checkout: Path) -> None:
    (checkout / "code.py").write_text("changed\n")
    digest = commit(checkout)
    assert commit_of(checkout, ignored="dvc.lock") == Commit(digest, is_dirty=False)


def test_a_changed_file_is_told(checkout: Path) -> None:
    (checkout / "code.py").write_text("changed\n")
    assert commit_of(checkout, ignored="dvc.lock").is_dirty


def test_a_removed_file_is_told(checkout: Path) -> None:
    (checkout / "below" / "x").unlink()
    assert commit_of(checkout, ignored="dvc.lock").is_dirty


def test_a_change_of_the_ignored_file_does_not_count(checkout: Path) -> None:
    (checkout / "dvc.lock").write_text("changed\n")
    assert not commit_of(checkout, ignored="dvc.lock").is_dirty


def test_a_file_that_git_does_not_track_does_not_count(checkout: Path) -> None:
    (checkout / "new").touch()
    assert not commit_of(checkout, ignored="dvc.lock").is_dirty


def test_there_is_no_commit_before_the_first(empty: Path) -> None:
    with pytest.raises(StorageError, match="git rev-parse failed"):
        commit_of(empty, ignored="dvc.lock")


@pytest.mark.parametrize("below", [".", "below"])
def test_a_folder_of_the_main_checkout_is_its_own(checkout: Path, below: str) -> None:
    assert main_checkout(checkout / below) == checkout / below


@pytest.mark.parametrize("below", [".", "below"])
def test_a_folder_of_a_worktree_is_found_in_the_main_checkout(checkout: Path, tmp_path: Path, below: str) -> None:
    git(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    assert main_checkout(tmp_path / "tree" / below) == checkout / below


def test_a_checkout_that_is_reached_by_a_link_is_found(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout)
    assert main_checkout(tmp_path / "link" / "below") == checkout / "below"


def test_a_worktree_of_a_bare_repository_has_no_main_checkout(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), "bare")
    git(tmp_path / "bare", "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    assert main_checkout(tmp_path / "tree") == (tmp_path / "tree").resolve()


def test_a_folder_outside_git_is_its_own(tmp_path: Path) -> None:
    assert main_checkout(tmp_path) == tmp_path.resolve()


@pytest.mark.usefixtures("no_git")
def test_a_folder_on_a_machine_without_git_is_its_own(tmp_path: Path) -> None:
    assert main_checkout(tmp_path) == tmp_path.resolve()
