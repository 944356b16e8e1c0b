"""A conflict in `dvc.lock`: one line says what to do, and that, typed as it stands, helps."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.surroundings.small import Small, commit_all, git


@pytest.fixture(scope="module")
def two_branches(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A project in which two branches have run with different seeds."""
    folder = tmp_path_factory.mktemp("branches")
    made = Small(folder / "project", {"HOME": str(folder), "TMPDIR": str(folder)})
    shutil.copytree(template, made.root)
    commit_all(made.root)
    for branch, seed in (("ours", "1"), ("theirs", "2")):
        git(made.root, "checkout", "--quiet", "-b", branch, "main")
        made.edit("params.yaml", "seed: 20261101", f"seed: {seed}")
        made.run()
        commit_all(made.root)
    return made


def merged(project: Small) -> None:
    """`git merge`, which stops at the conflict."""
    with pytest.raises(AssertionError, match="CONFLICT"):
        git(project.root, "merge", "ours")
    git(project.root, "checkout", "--quiet", "--theirs", "params.yaml")
    git(project.root, "add", "params.yaml")


def committed(project: Small) -> None:
    """The markers were committed with the rest."""
    merged(project)
    git(project.root, "add", "-A")
    git(project.root, "commit", "--quiet", "-m", "merged")


def without_git(project: Small) -> None:
    """The markers were copied, with no repository around."""
    merged(project)
    shutil.rmtree(project.root / ".git")


@pytest.fixture
def project(two_branches: Small, tmp_path: Path) -> Small:
    """A copy of it, for one test."""
    shutil.copytree(two_branches.root, tmp_path / "project", symlinks=True)
    return Small(tmp_path / "project", two_branches.variables)


@pytest.mark.parametrize("conflict", [merged, committed, without_git])
def test_the_advice_typed_as_it_stands_helps(project: Small, conflict: Callable[[Small], None]) -> None:
    conflict(project)
    assert b"<<<<<<<" in (project.root / "dvc.lock").read_bytes()

    done = project.call("ratchet", "run")
    assert done.returncode in (65, 74), (done.stdout, done.stderr)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("ratchet: ")]
    assert "dvc.lock" in line
    assert "merge" in line
    first = re.findall(r"`([^`]+)`", line)[0]
    advice = project.call("sh", "-c", first)
    assert advice.returncode == 0, (line, advice.stderr)
    project.run()
    assert b"<<<<<<<" not in (project.root / "dvc.lock").read_bytes()


def test_a_run_of_its_own_and_one_in_steps_do_not_mind(project: Small) -> None:
    merged(project)
    before = (project.root / "dvc.lock").read_bytes()
    own = project.run("seed=7")
    steps = project.run_in_steps("in-steps", overrides={"seed": 7}, is_forced=True)
    assert project.kept(own, "dvc.lock") == project.kept(steps, "dvc.lock")
    assert (project.root / "dvc.lock").read_bytes() == before
    assert Path(project.root / "runs" / own).is_dir()
