"""The tasks of a run: its opening, its stages, its closing; and the sweep.

What only a running task needs is imported where it is used: Airflow parses this file again and again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRuntimeError,
    AirflowSkipException,
    DownstreamTasksSkipped,
)

from dags import assets
from dags.commands import ROOT, RatchetOperator, RunFailed, StepFailed
from dags.derive import APPROVE, CHAMPION, OPEN
from dags.form import FORCE, REASON, changes
from dags.links import ReportLink, TensorBoardLink, VersionLink
from pipeline.errors import RatchetError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from dags.derive import TaskSpec
    from pipeline.graph import Graph
    from pipeline.records.run import RunRecord, RunRequest

_REQUEST = "request.json"


class OpenRun(RatchetOperator):
    """The beginning of a run: checks whether there is anything to do, and makes the run's workspace."""

    ui_color = "#e8f0fe"

    def __init__(self, *, config: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config

    def execute(self, context: Context) -> dict[str, Any]:
        """Open the run; if nothing has changed, skip all other tasks."""
        from pipeline.runs import history
        from pipeline.storage.artifacts import write_json

        run_id = run_id_of(context)
        try:
            request, is_anew = _request_file(run_id), _is_anew(run_id, context)
            if is_anew or not (request.is_file() and _begun(run_id)):  # else: a run keeps what it began with
                write_json(request, self._request(run_id, context).model_dump(mode="json"))
            self.call("runs", "open", str(request), *(["--anew"] if is_anew else []))
        except (RatchetError, StepFailed) as error:
            with suppress(StorageError):  # on a full disk this fails too
                _record_refusal(run_id, context, str(error))
            raise StepFailed(str(error)) from None
        self._sweep_deleted(context)
        record = history.read(ROOT, run_id)
        summary = {"run": run_id, "folder": record.folder, "note": record.sentence}
        if record.outcome == "unchanged":
            context["ti"].xcom_push(key="return_value", value=summary)
            self.log.info("skipping every stage: %s", record.sentence)
            raise DownstreamTasksSkipped(tasks=[name for name in self.dag.task_ids if name != self.task_id])
        return summary

    def _sweep_deleted(self, context: Context) -> None:
        """Remove the workspaces of runs that were deleted in Airflow; this run goes on if they cannot be."""
        try:
            if words := _swept_by_name(context):
                self.call("runs", "sweep", *words)
        except (AirflowException, AirflowRuntimeError) as error:
            self.log.info("what deleted runs have left stays until the next sweep: %s", error)

    def _request(self, run_id: str, context: Context) -> RunRequest:
        from dags.notify import run_url
        from pipeline.recipe.configs import recipe_layers
        from pipeline.recipe.resolving import checked
        from pipeline.records.run import RunRequest

        run = context["dag_run"]
        address = run_url(run.dag_id, run.run_id)
        layers = recipe_layers(ROOT, self.config)
        recipe = checked(layers.values, layers.where)
        return RunRequest(
            id=run_id,
            driver="airflow",
            config=self.config,
            overrides=changes(context["params"], recipe, run.conf or {}),
            reason=str(context["params"].get(REASON) or ""),
            asked_by=str(run.triggering_user_name or run.run_type.value)[:200],
            is_forced=bool(context["params"].get(FORCE)),
            as_of=f"{run.logical_date:%Y-%m-%d}" if run.run_type == "backfill" and run.logical_date else None,
            dag_id=run.dag_id,
            dag_run_id=run.run_id,
            address=address if address.startswith("http") else "",  # else nobody has said where Airflow is
        )


class RunStage(RatchetOperator):
    """One stage of dvc.yaml, in the run's workspace."""

    def __init__(self, *, spec: TaskSpec, config: str, model: str, **arguments: Any) -> None:
        super().__init__(
            task_id=spec.stage,
            retries=spec.retries,
            pool=spec.pool,
            execution_timeout=timedelta(minutes=spec.timeout_minutes),
            doc_md=spec.description,
            **arguments,
        )
        self.stage = spec.stage
        self.image = spec.image
        self.asset = spec.asset
        self.config = config
        self.model = model
        if spec.asset:
            self.outlets = [*self.outlets, self._outlet()]

    def execute(self, context: Context) -> str:
        """Bring the stage up to date, update its asset, and return in a few words what happened."""
        from pipeline.graph import load_graph
        from pipeline.records.registration import Registration
        from pipeline.runs import history
        from pipeline.runs.workspaces import workspace_of
        from pipeline.storage.artifacts import read_json
        from pipeline.storage.record_files import read_record

        run_id = run_id_of(context)
        record = history.find(ROOT, run_id)
        if record and record.state != "running":  # of a red run the failed tasks alone were cleared, not its opening
            self.call("runs", "open", str(_request_file(run_id)))
        self.call("runs", "stage", run_id, self.stage, command=self._in_container(run_id) if self.image else None)
        workspace = workspace_of(ROOT, run_id)
        summary = str(read_json(workspace / history.ROWS / f"{self.stage}.json")["what"])
        if self.asset is None:
            return summary
        graph = load_graph(workspace)
        if self.asset == CHAMPION:
            registration = read_record(workspace / graph.artifact("registration"), Registration)
            if registration.outcome != "promoted" or registration.champion is None:
                context["ti"].xcom_push(key="return_value", value=summary)  # skipped by itself, not by hand
                raise AirflowSkipException(registration.sentence)
            extra = {**registration.champion.to_json(), "metrics": _metrics(workspace, graph)}
        else:
            extra = _prepared(workspace / graph.artifact("prepared"))
        context["outlet_events"][self._outlet()].extra = {**extra, "run": run_id}
        return summary

    def _outlet(self) -> Asset:
        return assets.champion(self.model) if self.asset == CHAMPION else assets.prepared(self.config)

    def _in_container(self, run_id: str) -> list[str]:
        """Return the command that runs the stage in its image, with this project under the same path.

        The container's process ends when its standard input closes, which it does when this task ends.
        """
        return [
            "docker", "run", "--rm", "--interactive", "--init", "--network=host",
            f"--user={os.getuid()}:{os.getgid()}", f"--volume={ROOT}:{ROOT}", f"--workdir={ROOT}",
            f"--env=PYTHONPATH={ROOT}", "--env=RATCHET_LIFELINE=1",
            *(f"--env={name}" for name in sorted(os.environ) if name.startswith("RATCHET_") and "__" in name),
            str(self.image), "python", "-m", "pipeline", "runs", "stage", run_id, self.stage,
        ]  # fmt: skip


class CloseRun(RatchetOperator):
    """The end of a run, successful or not: keeps its reports, removes its workspace, announces its candidate.

    `skippable`: the stage that publishes and those after it, which are skipped when a candidate is not published.
    """

    ui_color = "#e8f0fe"
    operator_extra_links = (ReportLink(), VersionLink(), TensorBoardLink())

    def __init__(self, *, config: str, skippable: tuple[str, ...] = (), **arguments: Any) -> None:
        self.candidate = assets.candidate(config)
        super().__init__(outlets=[self.candidate], **arguments)
        self.skippable = skippable

    def execute(self, context: Context) -> dict[str, Any]:
        """Close the run with the outcome of its tasks, and make its candidate known.

        Raises RunFailed if a task has failed or the run was ended by hand, AirflowSkipException if nothing was judged:
        the success of this task is the candidate's event.
        """
        from pipeline.graph import load_graph
        from pipeline.runs import history, outcome

        run_id = run_id_of(context)
        states = self._states(context)
        if states.get(OPEN, "success") != "success":
            sentence = f"ended by hand before {OPEN}" if states[OPEN] == "skipped" else f"{OPEN} failed; see its log"
            opened = history.find(ROOT, run_id)
            if opened is None:
                _record_refusal(run_id, context, sentence)
            if opened is None or opened.state != "running":  # refused, or over already
                raise RunFailed(f"the run failed: {sentence}")
        broken = self._broken(run_id, states, context)
        because = ["--because", broken] if broken else []
        self.call("runs", "close", run_id, "--state", "success" if broken is None else "failed", *because)
        record = history.read(ROOT, run_id)
        if broken is not None or record.state == "failed":
            raise RunFailed(f"the run failed: {broken or record.sentence}")
        summary = {"run": run_id, "folder": record.folder, "outcome": record.outcome, "note": record.sentence}
        if record.outcome not in ("promote", "refuse", "rejected"):
            context["ti"].xcom_push(key="return_value", value=summary)
            raise AirflowSkipException(record.sentence or "nothing was judged")
        folder = ROOT / record.folder
        graph = load_graph(folder)
        verdict, registration = outcome.verdict_of(folder, graph), outcome.find_registration(folder, graph)
        context["outlet_events"][self.candidate].extra = {
            "run": run_id,
            "outcome": record.outcome,
            "reason": record.sentence,
            "digest": verdict.candidate if verdict else None,
            "version": registration.version if registration else None,
            "metrics": _metrics(folder, graph),
        }
        return summary

    def _states(self, context: Context) -> dict[str, str]:
        """Return how each of the other tasks has ended, in the order of the DAG."""
        run = context["dag_run"]
        states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        return {name: states[name] for name in self.dag.task_ids if name in states and name != self.task_id}

    def _broken(self, run_id: str, states: Mapping[str, str], context: Context) -> str | None:
        """Return None for a run that came to its end, else which task failed: empty where a stage has said why.

        Who marks a whole run as failed or as a success ends the task at work, if there is one, and skips those that
        would have come: Airflow leaves it to this task to say how the run has ended.
        """
        failed = [name for name, state in states.items() if state == "failed"]
        if any(_has_said_why(run_id, name) for name in failed):
            return ""
        if failed:
            return f"{' and '.join(failed)}: set to failed, out of time or killed before it could say why; see its log"
        if blocked := [name for name, state in states.items() if state == "upstream_failed"]:
            return f"{blocked[0]}: what it waits for has failed"
        skipped = [name for name, state in states.items() if state == "skipped" and self._is_odd(name, states, context)]
        return f"ended by hand before {skipped[0]}" if skipped else None

    def _is_odd(self, skipped: str, states: Mapping[str, str], context: Context) -> bool:
        """Return whether a task was not skipped by what a run itself decides: that a candidate is not published."""
        if skipped not in self.skippable:
            return True
        is_publisher = skipped == self.skippable[0]
        return is_publisher and APPROVE not in states and context["ti"].xcom_pull(task_ids=skipped) is None


class Sweep(RatchetOperator):
    """Removes the workspaces that runs have left behind: those of deleted runs, and those that have stood for long."""

    def execute(self, context: Context) -> None:
        """Ask Airflow which runs are gone, and run `ratchet runs sweep`.

        Raises AirflowRuntimeError if Airflow cannot be asked: then nothing is removed.
        """
        self.call("runs", "sweep", *_swept_by_name(context))


def run_id_of(context: Context) -> str:
    """Return Ratchet's id of a DAG run."""
    from pipeline.runs import history

    return history.id_for(context["dag_run"].dag_id, context["dag_run"].run_id)


def _has_said_why(run_id: str, stage: str) -> bool:
    """Return whether a failed stage has told itself what was wrong."""
    from pipeline.runs import history
    from pipeline.runs.workspaces import workspace_of
    from pipeline.storage.artifacts import read_json

    row = workspace_of(ROOT, run_id) / history.ROWS / f"{stage}.json"
    return row.is_file() and read_json(row)["state"] == "failed"


def _request_file(run_id: str) -> Path:
    from pipeline.records.run import RUNS

    return ROOT / RUNS / run_id / _REQUEST


def _begun(run_id: str) -> RunRecord | None:
    """Return the record of a run; None if there is none, or if the run was refused whenever it was to be opened."""
    from pipeline.recipe.recipe import PARAMS_FILE
    from pipeline.runs import history

    record = history.find(ROOT, run_id)
    is_refusal = record is None or (record.photograph is None and not (ROOT / record.folder / PARAMS_FILE).is_file())
    return None if is_refusal else record


def _is_anew(run_id: str, context: Context) -> bool:
    """Return whether a run has begun already, though nothing of this DAG run has: it was deleted and made again.

    Airflow does so with a scheduled run or one of a backfill: both have the same id.
    """
    is_first = context["ti"].try_number == 1 and not context["dag_run"].clear_number
    return is_first and _begun(run_id) is not None


def _record_refusal(run_id: str, context: Context, sentence: str) -> None:
    """Record why a run was not opened: it is never closed. What stands of a run that is over already, stays."""
    from pipeline.records.run import RunRecord
    from pipeline.runs import history

    run, record, end = context["dag_run"], _begun(run_id), history.now()
    if record is None:
        record = RunRecord(
            id=run_id, driver="airflow", state="running", start=end, dag_id=run.dag_id, dag_run_id=run.run_id
        )
    if record.state == "running":
        history.write(ROOT, record.changed(state="failed", end=end, sentence=sentence))


def _swept_by_name(context: Context) -> list[str]:
    """Return the words that name the runs whose workspace is there and which Airflow no longer has.

    Raises AirflowRuntimeError if Airflow cannot be asked.
    """
    gone = [
        record.id
        for record in _with_workspace()
        if not context["ti"].get_dr_count(dag_id=record.dag_id, run_ids=[record.dag_run_id])
    ]
    return ["--gone", *gone] if gone else []


def _with_workspace() -> Iterator[RunRecord]:
    """Yield the record of each run of Airflow whose workspace is still there."""
    from pipeline.runs import history, workspaces

    for run_id in workspaces.names(ROOT):
        try:
            record = history.read(ROOT, run_id)
        except RatchetError:  # no record, or one that cannot be read: nothing that Airflow could be asked for
            continue
        if record.driver == "airflow" and record.dag_run_id:
            yield record


def _metrics(folder: Path, graph: Graph) -> dict[str, float]:
    from pipeline.runs import outcome

    return outcome.metrics_of(folder, graph).test if graph.find("metrics") else {}


def _prepared(folder: Path) -> dict[str, Any]:
    from pipeline.storage.manifests import read_manifest

    parts = {part.name: read_manifest(part, verify=False) for part in sorted(folder.iterdir()) if part.is_dir()}
    return {
        "rows": {name: manifest.rows for name, manifest in parts.items()},
        "version": {name: manifest.digest for name, manifest in parts.items()},
    }
