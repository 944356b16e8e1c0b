"""A run whose process is killed while it is made, opened again, closed or removed: nothing is half, lost or blocked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.run import RunRequest
from pipeline.records.verdict import Verdict
from pipeline.runs import dvc_repairs, dvc_repro, history, opening, restoring, steps, workspaces
from pipeline.runs.dvc_repro import Order
from pipeline.runs.reproduction import drop_dead_locks
from pipeline.runs.sweeping import sweep
from pipeline.storage.record_files import write_record
from tests.killing import chosen, kill_at, points

ROOT = Path(__file__).parents[2]
VERDICT = Verdict.of([], "worse than v1", "sha256:new", None)
REQUEST = RunRequest(id="r1", overrides={"seed": 7})
LONG_AGO_S = 1_000_000_000


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with some code and a source, on a machine that has all that a run needs."""
    root = tmp_path / "project"
    (root / "samples" / "fashion_mnist").mkdir(parents=True)
    (root / "samples" / "fashion_mnist" / "images").write_bytes(b"pixels")
    (root / "pipeline" / "stages").mkdir(parents=True)
    for name in ("one.py", "two.py", "stages/three.py"):
        (root / "pipeline" / name).write_text(f"# {name}\n")
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "data_contracts", root / "data_contracts")
    monkeypatch.setattr(opening, "check_before", lambda *_: None)
    monkeypatch.setattr(restoring, "bring_back", lambda *_: None)  # DVC's part has a test of its own
    opening.cache_of(root)
    return root


def state_of(folder: Path) -> dict[str, Any]:
    """Return every file below a folder with its content, and every link with where it leads."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file()) and path.name not in ("run.lock", "workspaces.lock")
    }


def each_kill(root: Path, act: Callable[[Path], object], *, each_once: bool = False) -> Iterator[tuple[str, Path]]:
    """Yield a fresh copy of a project for each point at which `act` was killed in it, with the point's name."""
    counted = root.with_name("counted") / "project"
    shutil.copytree(root, counted, symlinks=True)
    for place, number in chosen(points(lambda: act(counted), root.with_name("points")), each_once=each_once):
        copy = root.with_name(f"killed-{number}") / "project"
        shutil.copytree(root, copy, symlinks=True)
        kill_at(lambda copy=copy: act(copy), number)  # type: ignore[misc]
        yield f"{place} ({number})", copy
        shutil.rmtree(copy.parent)


def age(root: Path) -> None:
    """Make whatever lies among the workspaces old enough to be swept."""
    for path in (root / workspaces.WORKSPACES).iterdir():
        os.utime(path, (LONG_AGO_S, LONG_AGO_S), follow_symlinks=False)


def open_r1(root: Path) -> None:
    assert opening.open_run(root, REQUEST, {}).state == "running"


def finished(root: Path) -> None:
    """Run r1 to a refused end, but for what its stages would do."""
    open_r1(root)
    workspace = workspaces.workspace_of(root, "r1")
    (workspace / "dvc.lock").write_text("schema: '2.0'\nstages:\n  ingest:\n    cmd: x\n")
    write_record(workspace / "reports" / "verdict.json", VERDICT)


@pytest.mark.parametrize("source", ["samples/fashion_mnist", "../outside/images"])
def test_killed_while_it_is_made_the_next_try_with_the_same_id_is_whole(project: Path, source: str) -> None:
    request = REQUEST.model_copy(update={"overrides": {"seed": 7, "data.path": source}})

    def make(root: Path) -> None:
        (root / source).mkdir(parents=True, exist_ok=True)
        opening.open_run(root, request, {})

    (project / source).mkdir(parents=True, exist_ok=True)
    whole = project.with_name("whole") / "project"
    shutil.copytree(project, whole)
    make(whole)
    expected = state_of(workspaces.workspace_of(whole, "r1"))
    assert "dvc.yaml" in expected
    seen = 0
    for place, root in each_kill(project, make):
        if workspaces.is_whole(workspaces.workspace_of(root, "r1")):
            same = {k: v for k, v in state_of(workspaces.workspace_of(root, "r1")).items() if k in expected}
            assert same.keys() >= {"dvc.yaml", "params.yaml", ".ratchet/origin.json"}, place
        make(root)
        record = history.read(root, "r1")
        assert (record.state, record.attempt) == ("running", 1), place
        made = state_of(workspaces.workspace_of(root, "r1"))
        relocated = {name: _at(content, root, whole) for name, content in made.items()}
        assert _inputs(relocated) == _inputs(expected), place
        age(root)
        sweep(root)
        left = [path.name for path in (root / workspaces.WORKSPACES).iterdir()]
        assert sorted(left) in (["r1"], [".deep-r1", "r1"]), place
        seen += 1
    assert seen > 20


def _at(content: Any, root: Path, other: Path) -> Any:
    if not isinstance(content, Path):
        return content
    return Path(str(content).replace(str(root.parent), str(other.parent)))


def _inputs(state: dict[str, Any]) -> dict[str, Any]:
    """What a workspace was made from, without the notes that only its first DVC process reads."""
    return {name: content for name, content in state.items() if "known" not in name and "absent" not in name}


def test_killed_while_it_is_closed_the_next_try_closes_it_with_all_its_evidence(project: Path) -> None:
    finished(project)
    for place, root in each_kill(project, lambda root: steps.close_run(root, "r1", "success")):
        done = steps.close_run(root, "r1", "success")
        assert (done.state, done.outcome) == ("success", "refuse"), place
        kept = state_of(root / "runs" / "r1")
        assert {"dvc.lock", "params.yaml", "dvc.yaml", "reports/verdict.json", "record.json"} <= kept.keys(), place
        age(root)
        sweep(root)
        assert list((root / workspaces.WORKSPACES).iterdir()) == [], place


def test_killed_while_it_is_opened_again_its_evidence_stays_and_the_next_try_is_whole(project: Path) -> None:
    finished(project)
    steps.close_run(project, "r1", "success")
    evidence = state_of(project / "runs" / "r1")
    for place, root in each_kill(project, open_r1):
        open_r1(root)
        record = history.read(root, "r1")
        assert (record.state, record.attempt) == ("running", 2), place
        workspace = workspaces.workspace_of(root, "r1")
        assert (workspace / "dvc.lock").read_text() == evidence["dvc.lock"].decode(), place
        assert (workspace / "reports" / "verdict.json").is_file(), place
        assert state_of(root / "runs" / "r1").items() >= evidence.items(), place
        steps.close_run(root, "r1", "success")
        assert state_of(root / "runs" / "r1").items() >= evidence.items(), place


def test_killed_while_its_workspace_is_removed_no_half_of_it_is_taken_for_a_workspace(project: Path) -> None:
    open_r1(project)
    whole = state_of(workspaces.workspace_of(project, "r1"))
    for place, root in each_kill(project, lambda root: workspaces.remove(root, "r1")):
        workspace = workspaces.workspace_of(root, "r1")
        if workspace.exists():
            assert state_of(workspace) == whole, place
        open_r1(root)
        assert workspaces.is_whole(workspace), place


STAGES = {
    "first": {"cmd": "mkdir -p data && cat source > data/first", "deps": ["source"], "outs": ["data/first"]},
    "second": {"cmd": "cat data/first source > data/second", "deps": ["data/first", "source"], "outs": ["data/second"]},
}


def test_killed_while_dvc_works_the_next_try_ends_with_the_same_lock_and_nothing_that_was_good_is_gone(
    tmp_path: Path,
) -> None:
    from dvc.repo import Repo

    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (root / "params.yaml").write_text("seed: 1\n")
    (root / "source").write_text("first content")
    site = {"core": {"no_scm": True, "site_cache_dir": str(tmp_path / "site")}}

    def reproduce(folder: Path) -> None:
        os.chdir(folder)
        dvc_repairs.apply()
        with Repo(config=site) as repo:
            dvc_repro._execute(repo, Order())

    def in_child(folder: Path) -> None:
        points(lambda: reproduce(folder), tmp_path / "points-again")  # acts to its end

    in_child(root)
    (root / "source").write_text("second content")
    whole = tmp_path / "whole" / "project"
    shutil.copytree(root, whole)
    in_child(whole)
    lock = (whole / "dvc.lock").read_bytes()
    for place, copy in each_kill(root, reproduce, each_once=True):
        drop_dead_locks(copy)
        parse_yaml(copy / "dvc.lock")
        in_child(copy)
        assert (copy / "dvc.lock").read_bytes() == lock, place
        assert (copy / "data" / "second").read_text() == "second contentsecond content", place
