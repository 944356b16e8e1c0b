"""What a run has left is read part by part, and is never taken for another run's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.runs import history, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.evidence import read_evidence
from pipeline.runs.photograph import Reference
from pipeline.runs.photograph_store import PhotographStore
from tests.runs.kept import RECIPE, finished, make_project, photographed, trained


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def test_all_that_a_run_has_left_is_read(root: Path) -> None:
    digest = photographed(root, {"pipeline/a.py": b"code"}, {"source": Reference("0" * 32, 3, 12)})
    record = finished(root, photograph=digest)
    found = read_evidence(root, "r1")
    assert (found.record, found.attempts, found.problems) == (record, (record,), ())
    assert found.recipe == {"task": "classification", "train.epochs": RECIPE["train"]["epochs"]}  # type: ignore[index]
    assert found.photograph is not None
    assert (list(found.photograph.files), found.size_bytes) == (["pipeline/a.py"], 4)
    assert found.figures is not None
    assert (found.figures.part, found.figures.values["accuracy"]) == ("test", 0.9)
    assert found.verdict is not None
    assert (found.page, found.workspace) == ("runs/r1/reports/index.html", None)
    assert json.loads(json.dumps(found.to_json()))["photographed"]["references"]["source"]["files"] == 3


def test_the_latest_attempt_is_read_unless_another_is_asked_for(root: Path) -> None:
    finished(root, state="failed", outcome=None, sentence="the first")
    finished(root, sentence="the second", attempt=2)
    assert read_evidence(root, "r1").record.sentence == "the second"
    first = read_evidence(root, "r1", 1)
    assert first.record.sentence == "the first"
    assert [one.attempt for one in first.attempts] == [1, 2]
    with pytest.raises(UsageError, match=r"run r1 has no attempt 3 \(valid: 1, 2\)"):
        read_evidence(root, "r1", 3)


def test_only_the_latest_attempt_has_the_workspace(root: Path) -> None:
    finished(root)
    finished(root, attempt=2)
    workspace = workspaces.workspace_of(root, "r1")
    workspace.mkdir(parents=True)
    (workspace / "dvc.yaml").touch()
    assert read_evidence(root, "r1").workspace == ".ratchet/workspaces/r1"
    assert read_evidence(root, "r1", 1).workspace is None


def test_an_unknown_run_names_the_nearest(root: Path) -> None:
    finished(root, "retrain-1")
    with pytest.raises(UsageError, match="did you mean 'retrain-1'"):
        read_evidence(root, "retrain-2")


def test_a_run_that_stopped_early_is_judged_by_the_validation_part_alone(root: Path) -> None:
    record = finished(root, until="train", outcomes={"train": "done", "evaluate": "waiting", "gate": "waiting"})
    trained(root, record)
    found = read_evidence(root, "r1")
    assert found.figures is not None
    assert (found.figures.part, found.figures.epoch, found.figures.task) == ("validation", 1, "classification")
    assert found.figures.values == {"loss": 0.6, "accuracy": 0.75}
    assert found.verdict is None  # the one in its folder is of an earlier run


def test_a_run_that_stopped_before_training_has_no_figures(root: Path) -> None:
    trained(root, finished(root, until="train", outcomes={"train": "waiting"}))
    assert read_evidence(root, "r1").figures is None


def test_figures_that_the_cache_has_no_more_are_none(root: Path) -> None:
    record = finished(root, until="train")
    trained(root, record)
    for path in cache_of(root).folder.rglob("*.dir"):
        path.unlink()
    found = read_evidence(root, "r1")
    assert (found.figures, found.problems) == (None, ())


@pytest.mark.parametrize(("end", "is_its_own"), [("waiting", False), ("failed", False), ("unchanged", True)])
def test_of_a_run_that_failed_only_what_it_came_to_counts(root: Path, end: str, is_its_own: bool) -> None:
    finished(root, state="failed", outcome=None, outcomes={"train": "failed", "evaluate": end, "gate": end})
    found = read_evidence(root, "r1")
    assert (found.figures is not None, found.verdict is not None) == (is_its_own, is_its_own)


def test_the_report_of_another_run_is_not_this_ones(root: Path) -> None:
    finished(root, "r0")
    killed = finished(root, "r1", state="failed", outcome=None)
    report = (root / "runs/r0/reports/run.json").read_bytes()
    (root / killed.folder / "reports/run.json").write_bytes(report)
    found = read_evidence(root, "r1")
    assert (found.report, found.figures, found.verdict) == (None, None, None)


def test_a_run_that_found_the_result_of_another_has_its_report(root: Path) -> None:
    finished(root, "r0")
    finished(root, "r1", same_as="r0", outcome="unchanged")
    (root / "runs/r1/reports/run.json").write_bytes((root / "runs/r0/reports/run.json").read_bytes())
    found = read_evidence(root, "r1")
    assert found.report is not None
    assert found.report.id == "r0"


def test_a_run_of_before_has_no_photograph_and_is_read(root: Path) -> None:
    finished(root)
    path = root / "runs/r1/record.json"
    values = json.loads(path.read_text())
    new = ("record_version", "attempt", "photograph", "inputs", "commit", "is_dirty", "until", "repeats", "dag_id")
    path.write_text(json.dumps({key: value for key, value in values.items() if key not in (*new, "dag_run_id")}))
    found = read_evidence(root, "r1")
    assert (found.photograph, found.problems) == (None, ())
    assert found.figures is not None


def test_a_photograph_that_is_gone_is_said_and_the_rest_is_read(root: Path) -> None:
    digest = photographed(root, {"a": b"1"})
    finished(root, photograph=digest)
    PhotographStore(cache_of(root)).path(digest).unlink()
    found = read_evidence(root, "r1")
    assert found.photograph is None
    [problem] = found.problems
    assert "is gone; `ratchet runs pull r1`" in problem
    assert found.figures is not None


@pytest.mark.parametrize("name", ["reports/metrics.json", "reports/run.json", "reports/verdict.json", "params.yaml"])
def test_a_damaged_part_is_said_and_the_others_are_read(root: Path, name: str) -> None:
    finished(root)
    (root / "runs/r1" / name).write_text("{")
    found = read_evidence(root, "r1")
    assert any(name.rpartition("/")[2] in problem for problem in found.problems)
    assert found.page is not None


def test_a_run_that_goes_on_has_what_it_has(root: Path) -> None:
    history.write(root, finished(root).changed(state="running", outcome=None, end=None))
    for path in ("reports/run.json", "dvc.yaml", "params.yaml"):
        (root / "runs/r1" / path).unlink()
    found = read_evidence(root, "r1")
    assert (found.recipe, found.report, found.figures, found.verdict, found.problems) == (None, None, None, None, ())
