"""A run works in a folder of its own, made from its photograph: whole or not at all, and without git."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import StorageError
from pipeline.graph import parse_graph
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.runs import photograph_store, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.photograph import Photograph
from pipeline.runs.photograph_store import PhotographStore
from pipeline.storage.home import find_origin, home_of
from tests.runs.given import contents, photographed, write_files

KNOWN = Path(".ratchet") / "known_hashes.json"
ABSENT = Path(".ratchet") / "absent_sources.json"


@pytest.fixture
def store(root: Path) -> PhotographStore:
    return PhotographStore(cache_of(root))


def made(root: Path, run_id: str = "r1", *, photograph: Photograph | None = None, **how: Any) -> Path:
    """Make a workspace from what is photographed now, or from an earlier photograph."""
    store = PhotographStore(cache_of(root))
    if photograph is None:
        taken = photographed(root)
        store.keep(taken.photograph, root, {})
        photograph, how = taken.photograph, {"known": taken.known, **how}
    return workspaces.make(root, run_id, store, photograph, Origin(home=".", run=run_id), **how)


def left_in(root: Path) -> list[str]:
    """Return what stands among the workspaces, whole or not."""
    return sorted(path.name for path in (root / workspaces.WORKSPACES).glob("*"))


def test_it_holds_what_was_photographed_and_reads_the_source_where_it_is(root: Path) -> None:
    workspace = made(root)
    assert workspace == workspaces.workspace_of(root, "r1") == root / ".ratchet" / "workspaces" / "r1"
    for name in ("dvc.yaml", "params.yaml", "execution.yaml", "pipeline/code.py"):
        assert (workspace / name).read_bytes() == (root / name).read_bytes()
    assert (workspace / "source").resolve() == root / "source"
    assert (workspace / "source" / "more" / "rows.csv").read_text() == "4,5,6"
    assert workspaces.is_whole(workspace)


def test_what_the_user_changes_afterwards_is_not_in_it(root: Path) -> None:
    workspace = made(root)
    (root / "pipeline" / "code.py").write_text("changed")
    (root / "params.yaml").unlink()
    assert (workspace / "pipeline" / "code.py").read_text() == "the code"
    assert (workspace / "params.yaml").is_file()


def test_it_says_whose_it_is(root: Path) -> None:
    workspace = made(root)
    assert home_of(workspace) == root
    assert find_origin(workspace) == Origin(home="../../..", run="r1")


def test_a_project_that_was_moved_is_still_its_home(root: Path, tmp_path: Path) -> None:
    made(root)
    root.rename(tmp_path / "moved")
    assert home_of(workspaces.workspace_of(tmp_path / "moved", "r1")) == tmp_path / "moved"


def test_where_workspaces_are_on_another_disk_home_is_found_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (root / ".ratchet").symlink_to(tmp_path / "scratch")
    assert home_of(made(root)) == root


@pytest.mark.parametrize("name", ["with spaces", "a#b,c%d[e]", "quo'te\"s", "zürich", "x" * 200])
def test_any_name_of_the_projects_folder_will_do(root: Path, name: str) -> None:
    root = root.rename(root.with_name(name))
    workspace = made(root)
    assert (workspace / "source" / "rows.csv").read_text() == "1,2,3"
    assert home_of(workspace) == root


def test_what_was_hashed_is_noted_for_dvc(root: Path) -> None:
    known = json.loads((made(root) / KNOWN).read_text())
    assert sorted(known) == ["source/more/rows.csv", "source/rows.csv"]


@pytest.mark.parametrize("path", ["../data", "../../far/data"])
def test_a_source_above_the_project_is_found_by_the_same_path(root: Path, path: str) -> None:
    write_files((root / path).parent, {"data/a": "1"})
    write_files(root, {"params.yaml": yaml.safe_dump({"name": "digits", "data": {"path": path}})})
    workspace = made(root)
    assert workspace == workspaces.workspace_of(root, "r1")
    assert (workspace.resolve() / path / "a").read_text() == "1"
    assert Path(os.path.normpath(workspace.resolve() / path)).resolve() == Path(os.path.normpath(root / path))
    assert home_of(workspace) == root
    assert workspaces.names(root) == ["r1"]
    assert list(workspaces.half_made(root)) == []
    workspaces.remove(root, "r1")
    assert left_in(root) == []
    assert (root / path / "a").read_text() == "1"


def test_a_source_with_an_absolute_path_is_read_from_there(root: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"data/a": "1"})
    recipe = {"name": "digits", "data": {"path": str(tmp_path / "data")}}
    write_files(root, {"params.yaml": yaml.safe_dump(recipe)})
    assert list(photographed(root).photograph.references) == [str(tmp_path / "data")]
    assert sorted(path.name for path in made(root).iterdir() if path.name != ".dvc") == sorted(
        [".ratchet", "dvc.yaml", "execution.yaml", "params.yaml", "pipeline"]
    )


def test_removing_it_leaves_the_users_source_and_the_kept_photograph(root: Path, store: PhotographStore) -> None:
    workspace, taken = made(root), photographed(root).photograph
    workspaces.remove(root, "r1")
    assert not workspace.exists()
    assert left_in(root) == []
    assert (root / "source" / "rows.csv").read_text() == "1,2,3"
    store.lay_out(store.read(taken.digest), root / "again")
    workspaces.remove(root, "r1")  # once more does nothing


def test_a_lock_and_other_files_may_be_put_beside(root: Path, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("schema: '2.0'\n")
    workspace = made(root, lock=tmp_path / "lock", extra={".ratchet/to_do": b"x"})
    assert (workspace / "dvc.lock").read_text() == "schema: '2.0'\n"
    assert (workspace / ".ratchet" / "to_do").read_bytes() == b"x"


def test_made_again_it_is_what_the_run_began_with_but_for_the_execution(root: Path) -> None:
    before = contents(made(root))
    taken = photographed(root).photograph
    workspaces.remove(root, "r1")
    write_files(root, {"pipeline/code.py": "changed", "params.yaml": "name: x\n", "execution.yaml": "horovod: {}\n"})
    after = contents(made(root, photograph=taken))
    assert before.pop("execution.yaml") != after.pop("execution.yaml") == b"horovod: {}\n"
    for notes in (before, after):
        notes.pop(str(KNOWN), None)  # of the sources, as they are found each time
        notes.pop(".ratchet/known_hashes.json", None)
    assert before == after


def test_made_again_it_leaves_the_kept_execution_as_it_is(root: Path, store: PhotographStore) -> None:
    made(root)
    taken = photographed(root).photograph
    workspaces.remove(root, "r1")
    write_files(root, {"execution.yaml": "horovod: {}\n"})
    made(root, photograph=taken)
    store.lay_out(taken, root / "again")  # each object is compared with its digest


@pytest.mark.parametrize("change", ["a byte", "gone"])
def test_made_again_it_does_not_read_a_source_that_is_another_by_now(root: Path, change: str) -> None:
    made(root)
    taken = photographed(root).photograph
    workspaces.remove(root, "r1")
    shutil.rmtree(root / "source") if change == "gone" else write_files(root, {"source/rows.csv": "1,2,4"})
    workspace = made(root, photograph=taken)
    assert not os.path.lexists(workspace / "source")
    assert json.loads((workspace / ABSENT).read_text()) == ["source"]


def test_made_again_from_a_damaged_photograph_it_is_refused_and_nothing_is_left(
    root: Path, store: PhotographStore
) -> None:
    made(root)
    taken = photographed(root).photograph
    workspaces.remove(root, "r1")
    path = store.path(taken.files["pipeline/code.py"])
    path.unlink()
    path.write_text("the codE")
    with pytest.raises(StorageError, match="is damaged or not whole"):
        made(root, photograph=taken)
    assert left_in(root) == []


def full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["_link_references", "write_record"])
def test_of_one_that_cannot_be_finished_nothing_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(workspaces, where, full)
    with pytest.raises(StorageError, match="workspaces/r1: cannot be made: No space left on device"):
        made(root)
    assert left_in(root) == []


def half(root: Path, monkeypatch: pytest.MonkeyPatch, at: Callable[..., None] = killed) -> None:
    """Leave what a process leaves that is killed before its workspace has its name."""
    with monkeypatch.context() as patch:
        patch.setattr(workspaces.shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(Path, "rename", at)
        with pytest.raises(KeyboardInterrupt):
            made(root)


def test_one_that_is_half_made_has_no_runs_name_and_blocks_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half(root, monkeypatch)
    assert workspaces.names(root) == []
    assert not workspaces.is_whole(workspaces.workspace_of(root, "r1"))
    [left] = workspaces.half_made(root)
    assert (left / "dvc.yaml").is_file()
    assert workspaces.is_whole(made(root))


def test_one_that_is_half_removed_has_no_runs_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root)
    with monkeypatch.context() as patch:
        patch.setattr(workspaces.shutil, "rmtree", lambda *_, **__: None)
        workspaces.remove(root, "r1")
    assert workspaces.names(root) == []
    assert len(list(workspaces.half_made(root))) == 1
    assert workspaces.is_whole(made(root))


@pytest.mark.parametrize("path", ["source", "../data"])
def test_what_stands_under_a_runs_name_and_is_no_workspace_blocks_no_run(root: Path, path: str) -> None:
    # Taking a lock makes the folder that it is in, also where a sweep has just removed the workspace.
    write_files(root.parent, {"data/a": "1"})
    write_files(root, {"params.yaml": yaml.safe_dump({"name": "digits", "data": {"path": path}})})
    write_files(workspaces.workspace_of(root, "r1"), {".ratchet/run.lock": "7"})
    workspace = made(root)
    assert workspaces.is_whole(workspace)
    assert (workspace.resolve() / path).is_dir()


def test_a_deep_one_of_a_process_killed_before_its_link_was_laid_is_made_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(root.parent, {"data/a": "1"})
    write_files(root, {"params.yaml": yaml.safe_dump({"name": "digits", "data": {"path": "../data"}})})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", lambda *_: None)
        made(root)
    assert len(list(workspaces.half_made(root))) == 1
    assert (made(root).resolve() / ".." / "data" / "a").read_text() == "1"
    assert list(workspaces.half_made(root)) == []


def test_one_that_another_process_made_meanwhile_is_kept(root: Path) -> None:
    workspace = made(root)
    (workspace / "made").write_text("by a stage")
    assert made(root) == workspace
    assert (workspace / "made").is_file()
    assert left_in(root) == ["r1"]


def test_stages_have_folders_of_their_own(root: Path) -> None:
    assert workspaces.stage_folder(root, "train") == root / ".ratchet" / "stages" / "train"


def test_without_any_there_are_no_names(root: Path) -> None:
    assert workspaces.names(root) == list(workspaces.half_made(root)) == []


def test_ten_files_are_linked_and_not_copied(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(root, {f"pipeline/{number}.py": str(number) for number in range(10)})
    copied: list[object] = []
    monkeypatch.setattr(photograph_store.shutil, "copyfile", lambda source, target: copied.append(target))
    taken = photographed(root)
    monkeypatch.undo()
    store = PhotographStore(cache_of(root))
    store.keep(taken.photograph, root, {})
    workspace = made(root)
    assert copied == []
    assert all((workspace / name).stat().st_nlink > 1 for name in taken.photograph.files)


def test_the_graph_of_a_workspace_is_the_photographed_one(root: Path) -> None:
    graph = parse_graph(yaml.safe_load((made(root) / "dvc.yaml").read_text()), {"data": {"path": "source"}})
    assert [stage.name for stage in graph.stages] == ["ingest", "label"]
    assert (made(root) / ORIGIN_FILE).is_file()
