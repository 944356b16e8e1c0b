"""Running one task as Airflow does: the DAG run it belongs to, what it is given, and the project it works in."""

from __future__ import annotations

from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.execution_time.context import OutletEventAccessors

from dags import form, tasks
from dags.commands import RatchetOperator
from dags.derive import TaskSpec
from dags.tasks import RunStage
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.resolving import checked
from pipeline.runs import history
from pipeline.runs.workspaces import workspace_of

RUN = history.id_for("retrain_one", "manual__1")

PLACE = str(workspace_of(Path(), RUN))


def execute(task: Any, context: Any) -> Any:
    """Run a task as Airflow's task runner does."""
    own = copy_context()
    own.run(ExecutorSafeguard.tracker.set, task)
    return own.run(task.execute, context)


def step() -> RatchetOperator:
    return RatchetOperator(task_id="t")


def run_shell(script: str) -> None:
    step().call("runs", "stage", "r1", "train", command=["/bin/sh", "-c", script])


def spec(stage: str = "train", **hints: Any) -> TaskSpec:
    defaults = {"group": "g", "timeout_minutes": 1, "retries": 0, "pool": "default_pool", "image": None, "asset": None}
    return TaskSpec(stage=stage, description="", parents=(), **{**defaults, **hints})


def stage_task(stage: str = "train", **hints: Any) -> RunStage:
    return RunStage(spec=spec(stage, **hints), config="one", model="one")


def dag_run(**changes: Any) -> DagRun:
    now = datetime(2026, 11, 22, 3, 4, tzinfo=UTC)
    values = {
        "dag_id": "retrain_one",
        "run_id": "manual__1",
        "logical_date": now,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": now,
        "start_date": now,
        "end_date": None,
        "run_type": "manual",
        "state": "running",
        "consumed_asset_events": [],
        "partition_key": None,
    }
    return DagRun(**{**values, **changes})


class TaskInstance:
    """As much of a task instance as the tasks ask: how the other tasks have ended, and a place for its result."""

    def __init__(self, states: dict[str, str] | None = None) -> None:
        self.states = states or {}
        self.deleted: set[str] = set()
        self.try_number = 1
        self.pushed: dict[str, Any] = {}

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert dag_id == "retrain_one"
        return dict.fromkeys(run_ids, self.states)

    def get_dr_count(self, dag_id: str, run_ids: list[str]) -> int:
        return len({*run_ids} - self.deleted)

    def xcom_push(self, key: str, value: Any, task_id: str = "") -> None:
        """Push; a test may push for another task."""
        self.pushed[f"{task_id}.{key}" if task_id else key] = value

    def xcom_pull(self, task_ids: str) -> Any:
        return self.pushed.get(f"{task_ids}.return_value")


def context(run: DagRun | None = None, *, states: dict[str, str] | None = None, **params: Any) -> Any:
    recipe = checked(recipe_layers(tasks.ROOT, "configs/one.yaml").values, "x")
    filled_in = {key: field.default for key, field in form.fields(recipe).items()}
    return {
        "dag_run": run or dag_run(),
        "params": filled_in | {key.replace("__", "."): value for key, value in params.items()},
        "ti": TaskInstance(states),
        "outlet_events": OutletEventAccessors(),
    }


def record(**changes: Any) -> dict[str, Any]:
    return {"id": RUN, "driver": "airflow", "state": "running", "start": "2026-11-22T03:04:00+00:00", **changes}
