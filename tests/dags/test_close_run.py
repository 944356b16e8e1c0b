"""The end of a run: as its stages have ended, with its candidate made known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from dags import assets
from dags.commands import RunFailed
from dags.tasks import CloseRun
from pipeline.records.run import RunRecord
from pipeline.runs import history
from pipeline.storage.artifacts import write_json
from tests.dags.task_run import PLACE, RUN, context, execute, record, stage_task
from tests.dags.written import FIGURES, metrics, registration, verdict


def close_task() -> CloseRun:
    """The closing of a DAG with every kind of task."""
    with DAG("retrain_one"):
        for name in ("open", "train", "approve", "register", "after"):
            stage_task(name)
        return CloseRun(task_id="close", config="one", skippable=("register", "after"))


@pytest.mark.parametrize(
    "states",
    [
        {"open": "success", "train": "success", "register": "success", "close": "running"},
        {"open": "success", "train": "success", "register": "skipped", "after": "skipped", "approve": "success"},
        {"open": "success", "train": "success", "close": "failed"},  # an earlier try of closing
    ],
)
def test_a_run_whose_stages_have_not_failed_is_closed_as_a_success(
    project: Path, said: list[str], answer: Callable[..., None], states: dict[str, str]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="success", sentence="why")})
    asked = context(states=states)
    with pytest.raises(AirflowSkipException, match=r"^why$"):  # there is no candidate to make known
        execute(close_task(), asked)
    assert said[0] == f"called: -m pipeline runs close {RUN} --state success"
    assert asked["ti"].pushed["return_value"] == {
        "run": RUN, "folder": f"runs/{RUN}", "outcome": None, "note": "why",
    }  # fmt: skip


def test_a_champion_that_stays_skips_what_publishes_and_what_comes_after(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="success", sentence="why")})
    asked = context(states={"open": "success", "train": "success", "register": "skipped", "after": "skipped"})
    asked["ti"].xcom_push("return_value", "kept", task_id="register")
    with pytest.raises(AirflowSkipException):
        execute(close_task(), asked)
    assert said[0].endswith("--state success")


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ({"train": "failed", "register": "upstream_failed"}, "train: set to failed, out of time or killed before"),
        ({"train": "failed", "register": "skipped"}, "train: set to failed, out of time or killed before it could say"),
        ({"train": "skipped", "register": "skipped", "after": "skipped"}, "ended by hand before train"),
        ({"train": "success", "register": "skipped", "after": "skipped"}, "ended by hand before register"),
        ({"train": "success", "approve": "skipped", "register": "skipped"}, "ended by hand before approve"),
        (
            {"train": "success", "register": "success", "after": "skipped", "approve": "failed"},
            "approve: set to failed",
        ),
    ],
)
def test_a_run_that_was_ended_from_outside_is_closed_as_a_failure_that_names_the_task(
    project: Path, said: list[str], answer: Callable[..., None], states: dict[str, str], why: str
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="failed", sentence="as recorded")})
    asked = context(states={"open": "success", **states})
    with pytest.raises(RunFailed, match=rf"^the run failed: {why}"):
        execute(close_task(), asked)
    assert said[0].startswith(f"called: -m pipeline runs close {RUN} --state failed --because {why}")


def test_a_run_whose_stage_has_said_why_is_closed_with_its_sentence(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="failed", sentence="no such file")})
    write_json(project / PLACE / ".ratchet" / "rows" / "train.json", {"state": "failed", "what": "no such file"})
    with pytest.raises(RunFailed, match=r"^the run failed: no such file$"):
        execute(close_task(), context(states={"open": "success", "train": "failed", "register": "upstream_failed"}))
    assert said[0] == f"called: -m pipeline runs close {RUN} --state failed"


@pytest.mark.parametrize(
    ("state", "why"), [("skipped", "ended by hand before open"), ("failed", "open failed; see its log")]
)
def test_a_run_that_was_never_opened_is_red_and_has_a_record(
    project: Path, said: list[str], state: str, why: str
) -> None:
    with pytest.raises(RunFailed, match=rf"^the run failed: {why}$"):
        execute(close_task(), context(states={"open": state, "train": "skipped"}))
    assert (said, history.read(project, RUN).sentence) == ([], why)


@pytest.mark.parametrize(
    ("state", "sentence"), [("failed", "train.epoch: unknown key"), ("success", "accuracy 0.9 >= 0.8")]
)
def test_a_run_that_was_refused_or_not_opened_again_is_red_and_its_record_stays(
    project: Path, said: list[str], state: str, sentence: str
) -> None:
    history.write(project, RunRecord(**record(state=state, sentence=sentence)))
    with pytest.raises(RunFailed, match=r"^the run failed: open failed; see its log$"):
        execute(close_task(), context(states={"open": "failed", "train": "upstream_failed"}))
    assert (said, history.read(project, RUN).sentence) == ([], sentence)


def test_a_run_that_was_ended_while_it_was_opened_is_closed(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    history.write(project, RunRecord(**record()))
    answer({f"runs/{RUN}/record.json": record(state="failed")})
    with pytest.raises(RunFailed, match=r"^the run failed: open: set to failed"):
        execute(close_task(), context(states={"open": "failed", "train": "skipped"}))
    assert said[0].startswith(f"called: -m pipeline runs close {RUN} --state failed --because open: set to failed")


@pytest.mark.parametrize(("outcome", "is_registered"), [("promote", True), ("refuse", True), ("rejected", False)])
def test_a_candidate_is_made_known_whatever_came_of_it(
    project: Path, said: list[str], answer: Callable[..., None], outcome: str, is_registered: bool
) -> None:
    files = {
        f"runs/{RUN}/record.json": record(state="success", outcome=outcome, sentence="why"),
        f"runs/{RUN}/reports/verdict.json": verdict("refuse" if outcome == "refuse" else "promote"),
        f"runs/{RUN}/reports/metrics.json": metrics(),
    }
    if is_registered:
        files[f"runs/{RUN}/reports/registration.json"] = registration("promoted" if outcome == "promote" else "refused")
    answer(files)
    asked = context(states={"train": "success"})
    execute(close_task(), asked)
    assert asked["outlet_events"][assets.candidate("one")].extra == {
        "run": RUN,
        "outcome": outcome,
        "reason": "why",
        "digest": "sha256:c",
        "version": 3 if is_registered else None,
        "metrics": FIGURES,
    }


def test_what_another_attempt_made_known_is_its_own(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    folder = f"runs/{RUN}/attempts/2"
    answer(
        {
            f"runs/{RUN}/record.json": record(state="success", outcome="refuse", sentence="then"),
            f"runs/{RUN}/reports/verdict.json": verdict("refuse"),
            f"{folder}/record.json": record(state="success", outcome="promote", sentence="now", attempt=2),
            f"{folder}/dvc.yaml": yaml.safe_load((project / "dvc.yaml").read_text()),
            f"{folder}/params.yaml": yaml.safe_load((project / "params.yaml").read_text()),
            f"{folder}/reports/verdict.json": verdict("promote"),
            f"{folder}/reports/metrics.json": metrics(),
            f"{folder}/reports/registration.json": registration("promoted", version=7),
        }
    )
    asked = context(states={"train": "success"})
    told = execute(close_task(), asked)
    assert (told["folder"], told["outcome"]) == (folder, "promote")
    extra = asked["outlet_events"][assets.candidate("one")].extra
    assert (extra["outcome"], extra["version"]) == ("promote", 7)
