"""An Airflow task that runs a command in the pipeline's own environment, streams its output and explains a failure."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from pipeline.errors import TryAgain
from pipeline.runtime import processes

ROOT = Path(__file__).resolve().parents[1]
VENV_VARIABLE = "RATCHET_VENV"
_GRACE_S = 3.0
_RETRY_DELAY = timedelta(seconds=10)


class StepFailed(AirflowException):
    """A command of the pipeline has failed, and a retry would fail again. Its text is the command's one line."""


class RunFailed(StepFailed):
    """A failed run has been closed. The task is red like its run, so that clearing the failed tasks closes it again."""


class TryLater(AirflowException):
    """A command of the pipeline has failed for a temporary reason: a lock, a lost worker, a first lack of memory."""


# A time-out, a contract that does not hold, a wrong configuration, a bug: a retry helps none of them.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[RetryRule(exception=TryLater, action=RetryAction.RETRY, reason="may succeed later (exit code 75)")],
    default=RetryAction.FAIL,
)


class RatchetOperator(BaseOperator):
    """A task that runs `ratchet runs …` in the pipeline's environment."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(retry_policy=RETRY_POLICY, retry_delay=_RETRY_DELAY, **arguments)
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, *words: str, command: Sequence[str] | None = None) -> None:
        """Run a command to its end; raise TryLater or StepFailed with its last line.

        Its processes end when this task ends, however it ends, and when the executor or the scheduler above it does.
        """
        above = _die_with_the_scheduler()
        line = ""
        command_line = command or [str(pipeline_python()), "-m", "pipeline", *words]
        try:
            self._process = process = processes.start(
                command_line,
                folder=ROOT,
                environment={
                    **_environment(),
                    "PYTHONPATH": str(ROOT),
                    "PYTHONUNBUFFERED": "1",
                    # What one stage has started is of use to the next, which is another task: so it ends with this.
                    "RATCHET_ANCHOR": str(above),
                },
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
        except BaseException:  # a time-out and a kill arrive as exceptions of that kind
            processes.end(process, grace_s=_GRACE_S)
            raise
        finally:
            # A process that waits for its input to close must not wait for us.
            for pipe in (process.stdout, process.stdin):
                pipe.close() if pipe else None
        if code == 0:
            return
        ended_by = -code if code < 0 else code - 128 if command else 0  # how docker encodes a container's signal
        if ended_by in set(signal.Signals):
            raise TryLater(f"{' '.join(words)}: its process was ended by {signal.Signals(ended_by).name}; {line}")
        message = line.removeprefix("ratchet: ") or f"{' '.join(words)}: exited with {code} without a message"
        raise (TryLater if code == TryAgain.exit_code else StepFailed)(message)

    def on_kill(self) -> None:
        """End the command and everything it has started, because the task was killed."""
        if self._process is not None:
            processes.end(self._process, grace_s=_GRACE_S)


def pipeline_python() -> Path:
    """Return the interpreter of the pipeline's environment; fail at once, saying what to run, if there is none."""
    python = Path(os.environ.get(VENV_VARIABLE) or ROOT / ".venv") / "bin" / "python"
    if not python.is_file():
        raise AirflowFailException(f"{python.parents[1]} is missing: run `make setup` in {ROOT}, then clear this task")
    return python


def _environment() -> Mapping[str, str]:
    # The pipeline must not inherit Airflow's settings, secrets among them, or those of its interpreter.
    kept = {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith(("AIRFLOW", "PYTHON"))}
    return {name: value for name, value in kept.items() if name not in ("VIRTUAL_ENV", "FORKED_BY_MULTIPROCESSING")}


def _die_with_the_scheduler() -> int:
    """End this task, and so everything it has started, when its supervisor or the executor above it ends.

    Returns the id of the process farthest above that it ends with.

    Airflow's own processes outlive a killed scheduler; the commands under them would run on with no one to report to.
    """
    ancestor = os.getpid()
    for _ in range(2):
        parent = processes.parent_of(ancestor)
        if parent <= 1:
            break
        processes.die_with(parent)
        ancestor = parent
    return ancestor
