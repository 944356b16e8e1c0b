"""What is told of a run: its outcome if it is news, its failure with the line that says why, and links that hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dags import notify
from dags.commands import RunFailed
from pipeline.records.run import RunRecord
from pipeline.runs import history
from tests.dags.conftest import ROOT
from tests.dags.receivers import PASSWORD, Connections, Server
from tests.dags.written import metrics, registration
from tests.evaluation.made_task import made_task

HOME = "http://airflow.example:8080"


def keep(root: Path, outcome: str | None, state: str = "success", attempt: int = 1, **reports: Any) -> None:
    kept = RunRecord(
        id=history.id_for("retrain_one", "manual__1"),
        driver="airflow",
        state=state,
        start=history.now(),
        outcome=outcome,
        sentence="0.893 ≥ 0.85",
        attempt=attempt,
    )
    history.write(root, kept)
    folder = root / kept.folder
    for name in ("dvc.yaml", "params.yaml"):  # which report is which
        shutil.copy(ROOT / name, folder)
    for name, content in reports.items():
        path = folder / "reports" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))


HELD = "0.893 ≥ 0.85; v3 is champion"


def context(**values: Any) -> Any:
    run = SimpleNamespace(dag_id="retrain_one", run_id="manual__1")
    return {"dag_run": run, "ti": SimpleNamespace(task_id="train", log_url=f"{HOME}/log"), **values}


@pytest.mark.parametrize(
    ("outcome", "title", "registration_file", "sentence"),
    [
        ("promote", "has a new champion", registration("promoted"), "0.893 ≥ 0.85; v3 is champion"),
        ("promote", "has a candidate that a bound of its machine holds back", registration("held"), HELD),
        ("refuse", "refused its candidate", registration("refused", "0.893 ≥ 0.85"), "0.893 ≥ 0.85"),
        ("rejected", "has a candidate that was not approved", None, "0.893 ≥ 0.85"),
    ],
)
def test_an_outcome_is_told_with_figures_and_links(
    tmp_path: Path, outcome: str, title: str, registration_file: dict[str, Any] | None, sentence: str
) -> None:
    keep(tmp_path, outcome, metrics=metrics(), **({"registration": registration_file} if registration_file else {}))
    assert notify.verdict_message(tmp_path, "retrain_one", "manual__1") == {
        "event": outcome,
        "title": f"retrain_one {title}",
        "sentence": sentence,
        "figures": {"accuracy": 0.8935, "macro_f1": 0.88, "cross_entropy": 0.3, "calibration_error": 0.02},
        "links": {
            "run": f"{HOME}/dags/retrain_one/runs/manual__1",
            "report": f"{HOME}/ratchet/dags/retrain_one/runs/manual__1/reports/index.html",
        },
        "run": "manual__1",
    }


def test_of_a_run_that_was_opened_again_the_latest_attempt_is_told(tmp_path: Path) -> None:
    keep(tmp_path, "refuse", metrics=metrics(), registration=registration("refused", "0.8 < 0.85"))
    keep(tmp_path, "promote", attempt=2, metrics=metrics(), registration=registration("promoted"))
    message = notify.verdict_message(tmp_path, "retrain_one", "manual__1")
    assert message is not None
    assert (message["event"], message["sentence"]) == ("promote", "0.893 ≥ 0.85; v3 is champion")


def figures_of(root: Path, task: str) -> Any:
    part = {"rows": 3, "mean_error": 1.23456, "within": 0.5}
    keep(root, "promote", metrics={**metrics(), "task": task, "primary": "mean_error", "test": part, "train": part})
    message = notify.verdict_message(root, "retrain_one", "manual__1")
    assert message is not None
    return message["figures"]


def test_the_figures_are_those_that_the_task_wants_in_messages(tmp_path: Path) -> None:
    with made_task() as name:
        assert figures_of(tmp_path, name) == {"mean_error": 1.2346}


def test_of_a_task_that_is_gone_the_primary_figure_is_told(tmp_path: Path) -> None:
    assert figures_of(tmp_path, "gone") == {"mean_error": 1.2346}


@pytest.mark.parametrize(("outcome", "state"), [("unchanged", "success"), (None, "failed"), (None, "running")])
def test_what_is_no_outcome_is_not_told(tmp_path: Path, outcome: str | None, state: str) -> None:
    keep(tmp_path, outcome, state)
    assert notify.verdict_message(tmp_path, "retrain_one", "manual__1") is None


def test_a_run_that_is_not_ours_is_not_told(tmp_path: Path) -> None:
    assert notify.verdict_message(tmp_path, "another", "manual__1") is None


def test_links_hold_whatever_a_run_is_called() -> None:
    name = "scheduled__2026-11-22T03:00:00+00:00/../x y"
    quoted = "scheduled__2026-11-22T03%3A00%3A00%2B00%3A00%2F..%2Fx%20y"
    assert notify.run_url("retrain_one", name) == f"{HOME}/dags/retrain_one/runs/{quoted}"
    assert notify.report_url("retrain_one", name, "reports/verdict.json") == (
        f"{HOME}/ratchet/dags/retrain_one/runs/{quoted}/reports/verdict.json"
    )


def test_a_failure_is_told_with_the_line_that_says_why(posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port)
    notify.NotifyFailure()(context(exception=ValueError("data/raw: no such file")))
    [(*_, body)] = posts.got
    assert body == {
        "event": "failed",
        "title": "retrain_one failed at train",
        "sentence": "data/raw: no such file",
        "figures": {},
        "links": {"run": f"{HOME}/dags/retrain_one/runs/manual__1", "log": f"{HOME}/log"},
        "run": "manual__1",
    }


def test_a_run_that_is_closed_as_failed_is_not_told_again(posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port)
    notify.NotifyFailure()(context(exception=RunFailed("the run failed: data/raw: no such file")))
    assert posts.got == []


@pytest.mark.parametrize("values", [{}, {"exception": None}, {"exception": ValueError()}])
def test_a_task_that_vanished_is_told_too(posts: Server, connections: Connections, values: dict[str, Any]) -> None:
    connections.webhook(posts.port)
    notify.NotifyFailure()(context(**values))
    assert posts.got[0][2]["sentence"] == "it ended without a word: see its log"


def test_the_end_of_a_run_is_told_if_it_is_news(tmp_path: Path, posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port)
    keep(tmp_path, "unchanged")
    notify.NotifyVerdict(str(tmp_path))(context())
    assert posts.got == []
    keep(tmp_path, "promote", metrics=metrics())
    notify.NotifyVerdict(str(tmp_path))(context())
    assert [body["event"] for *_, body in posts.got] == ["promote"]


def test_the_log_of_a_message_that_failed_tells_no_password(
    connections: Connections, capfd: pytest.CaptureFixture[str]
) -> None:
    for add in (connections.email, connections.slack, connections.webhook):
        add(1)
    with pytest.raises(RuntimeError):
        notify.NotifyFailure()(context())
    written = "".join(capfd.readouterr())
    assert "not every notification was sent" in written
    assert PASSWORD not in written
