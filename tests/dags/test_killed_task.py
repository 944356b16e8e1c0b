"""A task that is ended takes its command with it, and all that the command has started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout

from dags import commands
from dags.commands import TryLater, _die_with_the_scheduler
from tests.dags.task_run import run_shell, step
from tests.processes_in import is_gone
from tests.waiting import HANG_S, wait_for

DIE_WITH_THE_SCHEDULER = _die_with_the_scheduler


def started(work: Callable[[], None]) -> multiprocessing.process.BaseProcess:
    """Start a process that does some work: a fork, as Airflow's own are."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


@pytest.mark.parametrize("is_deaf", [False, True], ids=["one that listens", "one that is deaf"])
def test_a_task_that_is_killed_ends_its_command_and_what_that_has_started(
    said: list[str], background: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, is_deaf: bool
) -> None:
    monkeypatch.setattr(commands, "_GRACE_S", 0.3 if is_deaf else HANG_S)
    one = step()
    script = f"{'trap : TERM;' if is_deaf else ''} sleep 1000 & echo $!; echo $$; while :; do sleep 0.1; done"
    going: Future[None] = background.submit(one.call, "runs", command=["/bin/sh", "-c", script])
    pids = [int(line) for line in wait_for(lambda: len(said) == 2 and said, "both process ids")]
    assert not any(is_gone(pid) for pid in pids)
    one.on_kill()
    wait_for(lambda: all(is_gone(pid) for pid in pids), "both processes are gone")
    with pytest.raises(TryLater, match="SIGKILL" if is_deaf else "SIGTERM"):
        going.result(HANG_S)


def test_a_task_can_be_killed_before_it_has_begun() -> None:
    step().on_kill()


def test_a_time_out_ends_the_command_and_is_told_as_one(said: list[str], background: ThreadPoolExecutor) -> None:
    def ring() -> None:
        # Airflow's time-out is an alarm: it goes off as soon as both processes are there, however long that takes.
        wait_for(lambda: len(said) == 2, "both process ids")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    background.submit(ring)
    with pytest.raises(AirflowTaskTimeout), timeout(HANG_S):
        run_shell("echo $$; sleep 1000 & echo $!; wait")
    wait_for(lambda: all(is_gone(int(pid)) for pid in said), "both processes are gone")


def test_a_task_ends_with_the_scheduler_and_so_does_its_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def task() -> None:
        monkeypatch.setattr(commands, "_die_with_the_scheduler", DIE_WITH_THE_SCHEDULER)
        step().call("runs", command=["/bin/sh", "-c", "echo $$ > aside; mv aside pid; exec sleep 1000"])

    def supervisor() -> None:
        started(task).join()

    scheduler = started(lambda: started(supervisor).join())
    family: list[int] = []
    try:
        wait_for((project / "pid").exists, "the command's process id")
        family = [child.pid for child in psutil.Process(scheduler.pid).children(recursive=True)]
        assert int((project / "pid").read_text()) in family
        assert len(family) >= 3
        scheduler.kill()
        scheduler.join()
        wait_for(lambda: all(is_gone(pid) for pid in family), "the whole family is gone")
    finally:
        for pid in [scheduler.pid, *family]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
