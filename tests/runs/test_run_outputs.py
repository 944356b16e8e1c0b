"""What a finished run has made is found again: in its workspace, or in DVC's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.records.run import RunRecord
from pipeline.runs import workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.run_outputs import cached_files, folder_of_run
from tests.runs.kept import finished, lock_of, make_project, put_folder

FILES = {"manifest.json": b"{}", "part/a.parquet": b"rows"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def record(root: Path) -> RunRecord:
    record = finished(root)
    (root / record.folder / "dvc.lock").write_text(lock_of(**{"data/quarantine": put_folder(root, FILES)}))
    return record


def test_the_files_of_a_folder_come_from_the_cache_under_their_names(root: Path, record: RunRecord) -> None:
    with folder_of_run(root, record, "data/quarantine") as folder:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == FILES
    assert not folder.exists()
    assert all(path.is_file() for path in cached_files(root, record, "data/quarantine").values())


def test_while_the_workspace_is_there_it_is_read(root: Path, record: RunRecord) -> None:
    there = workspaces.workspace_of(root, record.id) / "data" / "quarantine"
    there.mkdir(parents=True)
    with folder_of_run(root, record, "data/quarantine") as folder:
        assert folder == there
    assert there.exists()


@pytest.mark.parametrize("lost", ["the lock", "the list", "a file", "the output"])
def test_what_is_not_there_any_more_is_said_with_the_ways_to_bring_it_back(
    root: Path, record: RunRecord, lost: str
) -> None:
    lock = root / record.folder / "dvc.lock"
    if lost == "the lock":
        lock.unlink()
    elif lost == "the list":
        [path] = cache_of(root).folder.rglob("*.dir")
        path.unlink()
    elif lost == "a file":
        cached_files(root, record, "data/quarantine")["manifest.json"].unlink()
    path = "data/other" if lost == "the output" else "data/quarantine"
    with (
        pytest.raises(StorageError, match=rf"run r1: its {path} is not in DVC's cache; `ratchet runs pull r1` may"),
        folder_of_run(root, record, path),
    ):
        pass
