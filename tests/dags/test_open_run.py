"""The head of a run: what was asked and by whom, and whether there is anything to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowRuntimeError, DownstreamTasksSkipped, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from dags.commands import StepFailed
from dags.tasks import CloseRun, OpenRun
from pipeline.errors import StorageError
from pipeline.records.run import RunRecord, State
from pipeline.runs import history
from pipeline.runs.workspaces import workspace_of
from pipeline.storage.artifacts import write_json
from tests.dags.task_run import RUN, context, dag_run, execute, record, stage_task


def open_task() -> OpenRun:
    return OpenRun(task_id="open", config="configs/one.yaml")


def request_of(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "runs" / RUN / "request.json").read_text())
    return found


def test_opening_hands_on_what_was_asked_and_by_whom(
    project: Path, said: list[str], answer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer({f"runs/{RUN}/record.json": record(sentence="on its way")})
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.test")
    asked = context(dag_run(triggering_user_name="ada"), train__epochs=5, reason="; rm -rf / {{ 1 }}", force=True)
    told = execute(open_task(), asked)
    assert told == {"run": RUN, "folder": f"runs/{RUN}", "note": "on its way"}
    assert said[0] == f"called: -m pipeline runs open {project}/runs/{RUN}/request.json"
    assert request_of(project) == {
        "id": RUN,
        "driver": "airflow",
        "config": "configs/one.yaml",
        "overrides": {"train.epochs": 5},
        "reason": "; rm -rf / {{ 1 }}",
        "asked_by": "ada",
        "is_forced": True,
        "as_of": None,
        "until": None,
        "dag_id": "retrain_one",
        "dag_run_id": "manual__1",
        "address": "http://airflow.test/dags/retrain_one/runs/manual__1",
    }


@pytest.mark.parametrize(
    ("changes", "asked_by", "as_of"),
    [
        ({"run_type": "scheduled"}, "scheduled", None),
        ({"run_type": "asset_triggered", "logical_date": None}, "asset_triggered", None),
        ({"run_type": "backfill"}, "backfill", "2026-11-22"),
    ],
)
def test_a_run_that_nobody_asked_for_says_what_did_and_a_past_one_which_day(
    project: Path, said: list[str], answer: Callable[..., None], changes: dict[str, Any], asked_by: str, as_of: str
) -> None:
    answer({f"runs/{RUN}/record.json": record()})
    execute(open_task(), context(dag_run(**changes)))
    request = request_of(project)
    assert (request["overrides"], request["reason"], request["is_forced"]) == ({}, "", False)
    assert (request["asked_by"], request["as_of"]) == (asked_by, as_of)


def deleted_run(project: Path) -> str:
    """A run that Airflow no longer has, and its workspace."""
    run_id = history.id_for("retrain_one", "manual__0")
    names = {"dag_id": "retrain_one", "dag_run_id": "manual__0"}
    history.write(project, RunRecord(**record(id=run_id, state="failed", **names)))
    workspace_of(project, run_id).mkdir(parents=True)
    return run_id


def test_opening_sweeps_what_runs_that_were_deleted_have_left(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    run_id = deleted_run(project)
    answer({f"runs/{RUN}/record.json": record()})
    asked = context()
    execute(open_task(), asked)
    assert not [line for line in said if "--gone" in line]  # Airflow has it
    asked["ti"].deleted.add("manual__0")
    execute(open_task(), asked)
    assert f"called: -m pipeline runs sweep --gone {run_id}" in said


@pytest.mark.parametrize(
    "error", [StepFailed("busy"), AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR))]
)
def test_a_run_goes_on_if_what_others_left_cannot_be_swept(
    project: Path,
    said: list[str],
    answer: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    deleted_run(project)
    answer({f"runs/{RUN}/record.json": record()})
    asked = context()

    def fail(**_: Any) -> int:
        raise error

    monkeypatch.setattr(asked["ti"], "get_dr_count", fail)
    assert execute(open_task(), asked)["run"] == RUN
    assert said[-1].startswith("what deleted runs have left stays until the next sweep: ")


def test_a_run_with_nothing_to_do_skips_every_other_task(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer({f"runs/{RUN}/record.json": record(outcome="unchanged", sentence="nothing changed since run r0")})
    with DAG("retrain_one"):
        opening = open_task()
        stage_task("train")
        CloseRun(task_id="close", config="one")
    asked = context()
    with pytest.raises(DownstreamTasksSkipped) as caught:
        execute(opening, asked)
    assert set(caught.value.tasks) == {"train", "close"}
    assert asked["ti"].pushed["return_value"]["note"] == "nothing changed since run r0"


@pytest.mark.parametrize(
    ("params", "conf", "line"),
    [
        ({}, {"train.epoch": 3}, "conf train.epoch: unknown key (did you mean 'train.epochs'?)"),
        ({"overrides": ["train.epocs=3"]}, {}, "overrides train.epocs: unknown key (did you mean 'train.epochs'?)"),
        (
            {"train__learning_rate": float("nan")},
            {},
            "train.learning_rate: a finite number or a text in quotes is needed, not nan",
        ),
    ],
)
def test_what_was_asked_wrongly_fails_before_anything_runs_and_is_recorded(
    project: Path, said: list[str], params: dict[str, Any], conf: dict[str, Any], line: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        execute(open_task(), context(dag_run(conf=conf), **params))
    assert str(caught.value) == line
    assert said == []
    refused = history.read(project, RUN)
    assert (refused.state, refused.sentence) == ("failed", line)


def test_a_run_that_is_refused_at_its_head_is_recorded(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer(says="ratchet: samples/x does not exist", leaves_with=2)
    with pytest.raises(StepFailed, match=r"^samples/x does not exist$"):
        execute(open_task(), context())
    assert history.read(project, RUN).sentence == "samples/x does not exist"


def test_a_record_that_cannot_be_written_hides_no_cause(
    project: Path, said: list[str], answer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("record.json: no space left")

    monkeypatch.setattr(history, "write", refuse)
    answer(says="ratchet: .ratchet: no space left", leaves_with=74)
    with pytest.raises(StepFailed, match=r"^\.ratchet: no space left$"):
        execute(open_task(), context())


def test_a_broken_config_fails_its_run_by_file_and_key(project: Path, said: list[str]) -> None:
    asked = context()
    (project / "configs" / "one.yaml").write_text("recipe: {train: {epochs: 0}}\n")
    with pytest.raises(StepFailed, match=r"configs/one\.yaml: train\.epochs: .*got 0"):
        execute(open_task(), asked)


REQUEST = {"id": RUN, "overrides": {"train.epochs": 5}}


@pytest.mark.parametrize(("clear_number", "try_number"), [(1, 1), (0, 2)])
def test_a_run_that_has_begun_is_opened_again_with_the_request_that_it_began_with(
    project: Path, said: list[str], answer: Callable[..., None], clear_number: int, try_number: int
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="success")})
    write_json(project / "runs" / RUN / "request.json", REQUEST)
    history.write(project, RunRecord(**record(state="success")))
    asked = context(dag_run(conf={"train.gone": 3}, clear_number=clear_number), train__epochs=7)
    asked["ti"].try_number = try_number
    execute(open_task(), asked)
    assert request_of(project) == REQUEST
    assert said[0] == f"called: -m pipeline runs open {project}/runs/{RUN}/request.json"


@pytest.mark.parametrize("state", ["running", "success", "failed"])
def test_a_run_that_was_deleted_and_that_airflow_has_made_again_begins_anew(
    project: Path, said: list[str], answer: Callable[..., None], state: State
) -> None:
    answer({f"runs/{RUN}/record.json": record()})
    write_json(project / "runs" / RUN / "request.json", REQUEST)
    history.write(project, RunRecord(**record(state=state)))
    execute(open_task(), context(dag_run(run_type="scheduled")))
    assert (request_of(project)["overrides"], request_of(project)["asked_by"]) == ({}, "scheduled")
    assert said[0] == f"called: -m pipeline runs open {project}/runs/{RUN}/request.json --anew"


def test_a_run_that_was_refused_is_asked_for_anew(project: Path, said: list[str], answer: Callable[..., None]) -> None:
    (project / "runs" / RUN / "params.yaml").unlink()
    answer(says="ratchet: samples/x does not exist", leaves_with=2)
    for epochs in (5, 7):
        with pytest.raises(StepFailed):
            execute(open_task(), context(train__epochs=epochs))
        assert request_of(project)["overrides"] == {"train.epochs": epochs}


@pytest.mark.parametrize("state", ["success", "failed"])
def test_what_stands_of_a_run_that_is_over_stays_if_it_cannot_be_opened_again(
    project: Path, said: list[str], answer: Callable[..., None], state: State
) -> None:
    before = history.write(project, RunRecord(**record(state=state, sentence="why")))
    answer(says="ratchet: the photograph is gone", leaves_with=74)
    with pytest.raises(StepFailed, match=r"^the photograph is gone$"):
        execute(open_task(), context())
    assert history.read(project, RUN) == before


def test_a_run_whose_opening_was_killed_and_then_refused_is_over_with_all_that_its_record_knew(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    (project / "runs" / RUN / "params.yaml").unlink()
    before = history.write(project, RunRecord(**record(photograph="p1")))
    for line in ("no space left", "no space left either"):
        answer(says=f"ratchet: {line}", leaves_with=74)
        with pytest.raises(StepFailed, match=f"^{line}$"):
            execute(open_task(), context())
    after = history.read(project, RUN)
    assert (after.state, after.sentence, after.photograph) == ("failed", "no space left", before.photograph)
    assert after.end is not None


def test_another_attempt_that_is_refused_half_opened_is_over_and_the_first_is_as_it_was(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    first = history.write(project, RunRecord(**record(state="success", photograph="p1")))
    history.write(project, RunRecord(**record(photograph="p1", attempt=2)))
    answer(says="ratchet: no space left", leaves_with=74)
    with pytest.raises(StepFailed):
        execute(open_task(), context())
    one, two = history.attempts_of(project, RUN)
    assert one == first
    assert (two.state, two.sentence) == ("failed", "no space left")


def test_another_attempt_is_told_by_its_own_folder(project: Path, said: list[str], answer: Callable[..., None]) -> None:
    history.write(project, RunRecord(**record(state="success", photograph="p1")))
    answer({f"runs/{RUN}/attempts/2/record.json": record(photograph="p1", attempt=2)})
    assert execute(open_task(), context())["folder"] == f"runs/{RUN}/attempts/2"
