"""What runs, and where it publishes, is what stands on the user's disk, whatever git has been told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.storage.artifacts import digest_file
from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import commit_all, git, works, works_in_every_way

KEPT = ("params.yaml", "execution.yaml", "data_contracts/digits/raw.yaml", "data_contracts/digits/prepared.yaml")


def unknown(root: Path) -> None:
    """Some are ignored by the repository, others excluded by this clone of it; none was ever committed."""
    with (root / ".gitignore").open("a") as file:
        file.write("/params.yaml\n/data_contracts/\n")
    with (root / ".git" / "info" / "exclude").open("a") as file:
        file.write("/execution.yaml\n")
    git(root, "rm", "--quiet", "--cached", *KEPT)
    commit_all(root)


def hidden(root: Path) -> None:
    """Others stand in the last commit, and git has been told in its two ways not to look."""
    git(root, "update-index", "--skip-worktree", *KEPT[::2])
    git(root, "update-index", "--assume-unchanged", *KEPT[1::2])


def linked(root: Path) -> None:
    """They are links to where the user keeps them."""
    for name in KEPT[1:]:
        outside = root.parent / "mine" / name
        outside.parent.mkdir(parents=True, exist_ok=True)
        (root / name).rename(outside)
        (root / name).symlink_to(outside)


@pytest.mark.parametrize("hide", [unknown, hidden, linked])
def test_settings_that_only_the_disk_has_are_what_every_run_uses(
    small: MakeSmall, hide: Callable[[Path], None]
) -> None:
    project = small()
    commit_all(project.root)
    hide(project.root)
    project.edit("execution.yaml", "sqlite:///registry/mlflow.db", "sqlite:///mine/models.db")
    project.edit("execution.yaml", "artifacts: registry/artifacts", "artifacts: mine/artifacts")
    project.edit("execution.yaml", "workers: 2", "workers: 1")
    project.edit("params.yaml", "epochs: 4", "epochs: 5")
    project.edit("data_contracts/digits/raw.yaml", "max_value: 5000", "max_value: 5001")
    told = git(project.root, "status", "--porcelain")
    in_way = works_in_every_way if hide == unknown else works
    seen = in_way(type(project)(project.root, project.variables, database="mine/models.db"))
    assert seen["workers"] == 1
    assert seen["contract"] == digest_file(project.root / "data_contracts/digits/raw.yaml")
    assert Path(seen["artifacts"]) == project.root / "mine" / "artifacts"
    for run in project.runs():
        assert b"epochs: 5" in project.kept(run["id"], "params.yaml")
    assert git(project.root, "status", "--porcelain").replace("?? dvc.lock\n", "") == told


def test_a_new_file_of_the_package_that_git_ignores_runs(small: MakeSmall) -> None:
    project = small()
    commit_all(project.root)
    (project.root / ".git" / "info" / "exclude").write_text("/pipeline/stages/\n/pipeline/storage/\n")
    (project.root / "pipeline" / "storage" / "own.py").write_text('"""Its own."""\n\nFOUND = "found"\n')
    project.edit(
        "pipeline/stages/survey.py",
        'return f"{len(files)} files"',
        "from pipeline.storage.own import FOUND\n    return FOUND",
    )
    works(project)
