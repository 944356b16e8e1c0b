"""A standalone that was killed: what it leaves is found, ended, and begun anew."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import psutil
import pytest

from tests.processes_in import is_gone
from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, up
from tests.system.with_airflow.service import in_session, listeners, sleepers, start_sleeping, wait_until_nobody_sleeps
from tests.waiting import wait_for


@dataclass(frozen=True)
class Killed:
    """What was seen of an Airflow whose standalone was killed while a task slept, and that was stopped and started."""

    run_id: str
    task_sessions: int  # beside the standalone's own
    stopped: str
    stopped_again: str
    started_again: str


def _left(airflow: Airflow, session: int) -> list[str]:
    """Return what is left of an Airflow, of what its runs have started, and of the sleeping task."""
    found = {one.pid for one in [*airflow.project.processes(), *sleepers()]} | {*in_session(session)}
    return sorted(f"{one.pid} {one.info['name']}" for one in psutil.process_iter(["name"]) if one.pid in found)


@pytest.fixture(scope="module")
def killed(installed: Airflow, at_start: AtStart) -> Killed:
    airflow = up(installed)
    run_id = start_sleeping(airflow)
    session = airflow.pid
    task_sessions = len({os.getsid(one.pid) for one in sleepers()} - {session})
    os.kill(session, signal.SIGKILL)
    stopped = airflow.stop()
    # What a run has started beside its tasks ends with the scheduler, and not in the same moment.
    wait_for(lambda: not _left(airflow, session), "nothing is left", progress=lambda: _left(airflow, session))
    stopped_again = airflow.stop()
    broken = airflow.project.root / "dags" / "broken.py"
    broken.write_text("from airflow.sdk import DAG\n\nimport tensorflow_of_another_environment\n")
    try:
        started_again = airflow.start()
    finally:
        broken.unlink()
    return Killed(run_id, task_sessions, stopped, stopped_again, started_again)


def test_a_task_has_a_session_of_its_own_so_that_a_stop_has_to_look_for_it(killed: Killed) -> None:
    assert killed.task_sessions == 1


def test_a_stop_leaves_nothing_of_a_killed_standalone(killed: Killed) -> None:
    assert "Airflow has ended" in killed.stopped  # the fixture has waited until nothing was left


def test_a_second_stop_has_nothing_to_do(killed: Killed) -> None:
    assert killed.stopped_again == "Airflow is not running\n"


def test_a_dag_file_that_cannot_be_read_is_told_and_the_others_run(killed: Killed) -> None:
    [line] = [line for line in killed.started_again.splitlines() if line.startswith("warning")]
    assert "dags/broken.py: ModuleNotFoundError: No module named 'tensorflow_of_another_environment'" in line
    assert killed.started_again.splitlines()[-2].startswith("Airflow is ready")


def test_the_task_of_a_killed_airflow_starts_anew(airflow: Airflow, killed: Killed) -> None:
    airflow.wait("sleeps", killed.run_id, sleepers, "it sleeps again")
    airflow.call("PATCH", f"/api/v2/dags/sleeps/dagRuns/{killed.run_id}", {"state": "failed"})
    wait_until_nobody_sleeps()


def test_a_killed_scheduler_leaves_nobody_waiting_and_the_next_start_repairs_it(airflow: Airflow) -> None:
    standalone = psutil.Process(airflow.pid)
    [scheduler] = [part for part in standalone.children() if part.name() == "scheduler"]
    workers = scheduler.children()
    assert workers
    scheduler.kill()
    wait_for(lambda: all(is_gone(worker.pid) for worker in workers), "the workers' end")
    status = airflow.script("status")
    assert (status.returncode, "it has lost its scheduler" in status.stdout) == (1, True)
    started = airflow.start()
    assert f"{airflow.base} has lost its scheduler: it is started anew" in started
    assert started.splitlines()[-2].startswith("Airflow is ready")
    assert airflow.pid != standalone.pid
    assert airflow.script("status").returncode == 0


def test_parts_that_lost_standalone_end_by_themselves(airflow: Airflow) -> None:
    os.kill(airflow.pid, signal.SIGKILL)
    wait_for(lambda: not listeners(airflow), "nothing listens", progress=lambda: listeners(airflow))
    assert airflow.script("status").returncode == 1
