"""The source may stand anywhere, and under DVC; a run reads it where it is, and leaves it as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import WITH_INGEST, Small, commit_all, git, works, works_in_every_way

MEMORY = Path("/dev/shm")


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Each file of a folder with its permissions, its time of change and its content."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def works_with(
    project: Small, path: str, source: Path, in_way: Callable[[Small], dict[str, Any]] = works_in_every_way
) -> None:
    """Every way works with a source at `path`, and the folder `source` is as before."""
    project.change_recipe(data={"path": path})
    before, beside = everything(source), sorted(project.root.parent.iterdir())
    assert len(in_way(project)["source"]) >= 4
    assert everything(source) == before
    assert sorted(project.root.parent.iterdir()) == beside


@pytest.fixture
def project(small: MakeSmall, tmp_path: Path) -> Small:
    """A project in a folder of its own, two folders down."""
    return small(tmp_path / "work" / "team" / "project")


def moved(project: Small, folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(project.root / "digits", folder)
    return folder


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder) / "digits"


def test_behind_a_link_that_is_committed(project: Small, tmp_path: Path) -> None:
    source = moved(project, tmp_path / "elsewhere" / "digits")
    (project.root / "digits").symlink_to(os.path.relpath(source, project.root))
    commit_all(project.root)
    works_with(project, "digits", source)
    assert (project.root / "digits").is_symlink()


@pytest.mark.parametrize("path", ["../digits", "../../data/digits"])
def test_above_the_project(project: Small, path: str) -> None:
    source = moved(project, Path(os.path.normpath(project.root / path)))
    commit_all(project.root)
    works_with(project, path, source, works if path == "../digits" else works_in_every_way)


def test_at_an_absolute_path(project: Small, tmp_path: Path) -> None:
    source = moved(project, tmp_path / "elsewhere" / "digits")
    commit_all(project.root)
    works_with(project, str(source), source, works)


def test_on_another_file_system(project: Small, elsewhere: Path) -> None:
    moved(project, elsewhere)
    (project.root / "digits").symlink_to(elsewhere)
    works_with(project, "digits", elsewhere)


def test_inside_a_submodule(project: Small, tmp_path: Path) -> None:
    data = moved(project, tmp_path / "data" / "digits").parent
    commit_all(data)
    commit_all(project.root)
    git(project.root, "submodule", "--quiet", "add", str(data), "vendor")
    commit_all(project.root)
    works_with(project, "vendor/digits", project.root / "vendor", works)


def folder_added(project: Small) -> None:
    project.call("dvc", "add", "digits")
    assert (project.root / "digits.dvc").is_file()


def files_added(project: Small) -> None:
    for path in sorted((project.root / "digits").glob("*.gz")):
        project.call("dvc", "add", str(path.relative_to(project.root)))
    assert len(list((project.root / "digits").glob("*.dvc"))) == 4


def with_other_files(project: Small) -> None:
    source = project.root / "digits"
    for name in (".gitkeep", ".gitignore", "README.md", "notes.txt.dvc.bak"):
        (source / name).write_text("")
    (source / "lost+found").mkdir()
    (source / "empty" / "folder").mkdir(parents=True)


@pytest.mark.parametrize("kept", [folder_added, files_added, with_other_files])
def test_under_dvc_or_beside_other_files(small: MakeSmall, kept: Callable[[Small], None]) -> None:
    project = small(stages=WITH_INGEST if kept == with_other_files else None)
    git(project.root, "init", "--quiet")
    kept(project)
    commit_all(project.root)
    works_with(project, "digits", project.root / "digits", works if kept == files_added else works_in_every_way)
    status = git(project.root, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert [line for line in status if not line.endswith(("params.yaml", "dvc.lock"))] == []
