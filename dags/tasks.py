"""The tasks: each runs one command of the pipeline's own environment, streams what it says, and explains its end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from dags import assets
from dags.form import FORCE, REASON, asked, recipe_of
from pipeline import history, processes, workspace
from pipeline.artifacts import read_json, write_json
from pipeline.configs import load_config, recipe_values
from pipeline.errors import RatchetError, StorageError, TryAgain, UsageError
from pipeline.history import ROWS, Record

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dags.derive import TaskSpec

ROOT = Path(__file__).resolve().parents[1]
VENV_VARIABLE = "RATCHET_VENV"
_GRACE_S = 3.0
_RETRY_DELAY = timedelta(seconds=10)
_REQUEST = "request.json"


class StepFailed(AirflowException):
    """A command of the pipeline has failed, and trying again would fail again. Its text is the command's one line."""


class RunFailed(StepFailed):
    """A run has been closed that had failed. Red like its run, so that clearing the failed tasks closes it again."""


class TryLater(AirflowException):
    """A command of the pipeline has failed for a reason that passes: a lock, a lost worker, memory once."""


# A time-out, a contract that does not hold, a wrong configuration, a bug: none of them gets better by itself.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[RetryRule(exception=TryLater, action=RetryAction.RETRY, reason="may succeed later (exit code 75)")],
    default=RetryAction.FAIL,
)


class Step(BaseOperator):
    """A task that runs `ratchet runs …` in the pipeline's environment."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(retry_policy=RETRY_POLICY, retry_delay=_RETRY_DELAY, **arguments)
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, *words: str, command: Sequence[str] | None = None) -> None:
        """Run a command to its end; raise TryLater or StepFailed with its own last words.

        Its processes end when this task ends, however it ends, and when the executor or the scheduler above it does.
        """
        _die_with_the_scheduler()
        line = ""
        command_line = command or [str(pipeline_python()), "-m", "pipeline", *words]
        try:
            self._process = process = processes.start(
                command_line,
                folder=ROOT,
                environment={**_environment(), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE if command else subprocess.DEVNULL,
            )
        except OSError as error:
            raise StepFailed(f"{command_line[0]}: cannot be started on this worker: {error.strerror}") from error
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                text = raw.decode(errors="replace").rstrip()
                if text:
                    line = text
                    self.log.info(text)
            code = process.wait()
        except BaseException:  # a time-out and a kill are told by exceptions of that kind
            processes.end(process, grace_s=_GRACE_S)
            raise
        finally:
            for pipe in (process.stdout, process.stdin):  # what waits for its input to close must not wait for us
                pipe.close() if pipe else None
        if code == 0:
            return
        ended_by = -code if code < 0 else code - 128 if command else 0  # docker tells a container's signal in this way
        if ended_by in set(signal.Signals):
            raise TryLater(f"{' '.join(words)}: its process was ended by {signal.Signals(ended_by).name}; {line}")
        message = line.removeprefix("ratchet: ") or f"{' '.join(words)}: left with {code} and said nothing"
        raise (TryLater if code == TryAgain.exit_code else StepFailed)(message)

    def on_kill(self) -> None:
        """End the command and everything it has started: somebody has ended this task."""
        if self._process is not None:
            processes.end(self._process, grace_s=_GRACE_S)


class OpenRun(Step):
    """The head of a run: looks whether there is anything to do, and makes the run's worktree."""

    ui_color = "#e8f0fe"

    def __init__(self, *, config: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config

    def execute(self, context: Context) -> dict[str, Any]:
        """Open the run; where nothing has changed, skip all the rest."""
        run_id = run_id_of(context)
        try:
            request = ROOT / history.RUNS / run_id / _REQUEST
            write_json(request, self._request(run_id, context))
            self.call("runs", "open", str(request))
        except (RatchetError, StepFailed) as error:
            # A run that never began has no worktree and no close: its record says why.
            refused = Record(run_id, "airflow", "failed", history.now(), end=history.now(), sentence=str(error))
            with suppress(StorageError):  # on a full disk this one says the same
                history.write(ROOT, refused)
            raise StepFailed(str(error)) from None
        record = history.read(ROOT, run_id)
        told = {"run": run_id, "folder": record.folder, "note": record.sentence}
        if record.outcome == "unchanged":
            context["ti"].xcom_push(key="return_value", value=told)
            self.log.info("skipping every stage: %s", record.sentence)
            raise DownstreamTasksSkipped(tasks=[name for name in self.dag.task_ids if name != self.task_id])
        return told

    def _request(self, run_id: str, context: Context) -> dict[str, Any]:
        run = context["dag_run"]
        recipe = recipe_of(recipe_values(ROOT, load_config(ROOT / self.config)), self.config)
        return {
            "id": run_id,
            "driver": "airflow",
            "config": self.config,
            "overrides": asked(context["params"], recipe, run.conf or {}),
            "reason": str(context["params"].get(REASON) or ""),
            "asked_by": str(run.triggering_user_name or run.run_type.value)[:200],
            "is_forced": bool(context["params"].get(FORCE)),
            "as_of": f"{run.logical_date:%Y-%m-%d}" if run.run_type == "backfill" and run.logical_date else None,
        }


class RunStage(Step):
    """One stage of dvc.yaml, in the run's worktree."""

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
        """Bring the stage up to date, make known what it has made, and return in a few words what happened."""
        run_id = run_id_of(context)
        self.call("runs", "stage", run_id, self.stage, command=self._in_container(run_id) if self.image else None)
        place = workspace.place_of(ROOT, run_id)
        reports = place / "reports"
        told = str(read_json(place / ROWS / f"{self.stage}.json")["what"])
        if self.asset == "champion":
            registration = read_json(reports / "registration.json")
            if registration["outcome"] != "promoted":
                raise AirflowSkipException(registration["sentence"])
            extra = {**registration["champion"], "name": registration["name"], "metrics": _metrics(reports)}
        elif self.asset == "prepared":
            extra = _prepared(place / "data" / "prepared")
        else:
            return told
        context["outlet_events"][self._outlet()].extra = {**extra, "run": run_id}
        return told

    def _outlet(self) -> Asset:
        return assets.champion(self.model) if self.asset == "champion" else assets.prepared(self.config)

    def _in_container(self, run_id: str) -> list[str]:
        """Return the command that runs the stage in its image, with this project in the same place.

        The container's process reads its standard input, which closes when this task's side of it ends.
        """
        return [
            "docker", "run", "--rm", "--interactive", "--init", "--network=host",
            f"--user={os.getuid()}:{os.getgid()}", f"--volume={ROOT}:{ROOT}", f"--workdir={ROOT}",
            f"--env=PYTHONPATH={ROOT}", "--env=RATCHET_LIFELINE=1",
            *(f"--env={name}" for name in sorted(os.environ) if name.startswith("RATCHET_") and "__" in name),
            str(self.image), "python", "-m", "pipeline", "runs", "stage", run_id, self.stage,
        ]  # fmt: skip


class CloseRun(Step):
    """The end of a run, whatever came of it: keeps its reports, removes its worktree, says what came of it."""

    ui_color = "#e8f0fe"

    def __init__(self, *, config: str, **arguments: Any) -> None:
        super().__init__(outlets=[assets.candidates(config)], **arguments)
        self.config = config

    def execute(self, context: Context) -> dict[str, Any]:
        """Close the run as its tasks have ended; raise RunFailed if one of them has failed."""
        run_id = run_id_of(context)
        run = context["dag_run"]
        states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        is_failed = any(
            state in ("failed", "upstream_failed") for name, state in states.items() if name != self.task_id
        )
        self.call("runs", "close", run_id, "--state", "failed" if is_failed else "success")
        record = history.read(ROOT, run_id)
        if is_failed:
            raise RunFailed(f"the run failed: {record.sentence}")
        if record.outcome in ("promote", "refuse", "rejected"):
            reports = ROOT / record.folder / "reports"
            verdict = read_json(reports / "verdict.json")
            registration = reports / "registration.json"
            context["outlet_events"][assets.candidates(self.config)].add(
                assets.candidate(self.config),
                extra={
                    "run": run_id,
                    "outcome": record.outcome,
                    "reason": record.sentence,
                    "digest": verdict["candidate"],
                    "version": read_json(registration)["version"] if registration.is_file() else None,
                    "metrics": _metrics(reports),
                },
            )
        return {"run": run_id, "folder": record.folder, "outcome": record.outcome, "note": record.sentence}


class Sweep(Step):
    """Removes what forgotten and failed runs have left behind for longer than execution.yaml says."""

    def execute(self, context: Context) -> None:  # noqa: ARG002
        """Sweep."""
        self.call("runs", "sweep")


def run_id_of(context: Context) -> str:
    """Return Ratchet's id of a DAG run."""
    return history.id_for(context["dag_run"].dag_id, context["dag_run"].run_id)


def pipeline_python() -> Path:
    """Return the interpreter of the pipeline's environment; fail at once, saying what to run, if there is none."""
    python = Path(os.environ.get(VENV_VARIABLE) or ROOT / ".venv") / "bin" / "python"
    if not python.is_file():
        raise AirflowFailException(f"{python.parents[1]} is missing: run `make setup` in {ROOT}, then clear this task")
    return python


def _environment() -> Mapping[str, str]:
    # Airflow's settings, secrets among them, and its interpreter's are no business of the pipeline's.
    kept = {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith(("AIRFLOW", "PYTHON"))}
    return {name: value for name, value in kept.items() if name not in ("VIRTUAL_ENV", "FORKED_BY_MULTIPROCESSING")}


def _metrics(reports: Path) -> dict[str, float]:
    figures = read_json(reports / "metrics.json").get("test", {})
    return {name: value for name, value in figures.items() if isinstance(value, int | float)}


def _prepared(folder: Path) -> dict[str, Any]:
    parts = {part.name: read_json(part / "manifest.json") for part in sorted(folder.iterdir()) if part.is_dir()}
    return {
        "rows": {name: manifest["rows"] for name, manifest in parts.items()},
        "version": {name: manifest["digest"] for name, manifest in parts.items()},
    }


def _die_with_the_scheduler() -> None:
    """End this task, and so everything it has started, when its supervisor or the executor above it ends.

    Airflow's own processes outlive a killed scheduler; what works under them would go on with nobody to hear of it.
    """
    ancestor = os.getpid()
    for _ in range(2):
        ancestor = processes.parent_of(ancestor)
        if ancestor <= 1:
            return
        try:
            descriptor = os.pidfd_open(ancestor)
        except OSError:
            raise UsageError("the process that started this task is gone") from None
        threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()


def _end_with(descriptor: int) -> None:
    select.select([descriptor], [], [])  # readable when that process has ended
    os.kill(os.getpid(), signal.SIGKILL)  # the kernel ends our commands with us
