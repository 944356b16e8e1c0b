"""Whose workspace a folder is, and where the project is that it belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.storage.home import find_origin, home_of
from pipeline.storage.record_files import write_record

ORIGIN = Origin(home="../../..", run="x", photograph="sha256:0a", commit="c0ffee", is_dirty=None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder."""
    root = tmp_path.resolve() / "project"
    root.mkdir()
    (root / "dvc.yaml").touch()
    return root


@pytest.fixture
def workspace(project: Path) -> Path:
    """A workspace of a run of it."""
    write_record(project / ".ratchet" / "workspaces" / "x" / ORIGIN_FILE, ORIGIN)
    return project / ".ratchet" / "workspaces" / "x"


def test_a_projects_folder_is_its_own_home(project: Path) -> None:
    assert (find_origin(project), home_of(project)) == (None, project)


def test_a_folder_that_is_reached_by_a_link_is_resolved(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)
    assert home_of(tmp_path / "link") == project


def test_a_workspace_has_the_home_of_its_project(workspace: Path, project: Path) -> None:
    assert (find_origin(workspace), home_of(workspace)) == (ORIGIN, project)


def test_it_moves_with_its_project(workspace: Path, project: Path) -> None:
    moved = project.rename(project.with_name("other name"))
    assert home_of(moved / workspace.relative_to(project)) == moved


def test_workspaces_may_lie_on_another_disk(project: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "x").mkdir(parents=True)
    (project / ".ratchet").mkdir()
    (project / ".ratchet" / "workspaces").symlink_to(tmp_path / "disk")
    workspace = project / ".ratchet" / "workspaces" / "x"
    home = os.path.relpath(project.resolve(), workspace.resolve())
    write_record(workspace / ORIGIN_FILE, ORIGIN.changed(home=home))
    assert home_of(workspace) == project


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"home": 1, "run": "x"}', b"\xff"])
def test_a_damaged_origin_is_an_error_and_never_a_home(workspace: Path, content: bytes) -> None:
    (workspace / ORIGIN_FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"origin\.json"):
        home_of(workspace)


def test_a_workspace_without_its_project_is_told_what_to_do(workspace: Path, tmp_path: Path) -> None:
    alone = workspace.rename(tmp_path / "alone")
    with pytest.raises(
        DataError, match=r"its project is not at .*; go on in the project's folder, or remove this file"
    ):
        home_of(alone)
