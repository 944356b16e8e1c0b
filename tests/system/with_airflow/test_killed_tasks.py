"""One run that is hit three times, a task, a rank and the scheduler, and still comes to its end."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import FirstRun, up, workspace
from tests.system.with_airflow.project_of_airflow import DAG


@dataclass(frozen=True)
class Hit:
    """The run, its workspace, and how it stood when the blow had been dealt with."""

    run_id: str
    place: Path
    is_place_kept: bool
    run: dict[str, Any]
    tasks: dict[str, dict[str, Any]]

    @classmethod
    def look(cls, airflow: Airflow, run_id: str) -> Hit:
        place = workspace(airflow, DAG, run_id)
        return cls(run_id, place, place.is_dir(), airflow.run(DAG, run_id), airflow.tasks(DAG, run_id))


@pytest.fixture(scope="module")
def killed_task(installed: Airflow, first_run: FirstRun) -> Hit:
    """`normalize` is set to failed in the UI while its Spark works. Gives the run when no process is left."""
    airflow = up(installed)
    run_id = airflow.trigger(DAG, seed=7)
    airflow.wait(DAG, run_id, lambda: is_at_work(airflow, run_id, "normalize", "java"), "Spark in normalize")
    airflow.set_state(DAG, run_id, "normalize", "failed")
    airflow.wait_until_idle()
    airflow.ended(DAG, run_id)
    return Hit.look(airflow, run_id)


@pytest.fixture(scope="module")
def lost_rank(installed: Airflow, killed_task: Hit) -> Hit:
    """The failed task is cleared, and one rank of the training is killed. Gives the run as `evaluate` works."""
    airflow, run_id, place = up(installed), killed_task.run_id, killed_task.place
    airflow.clear(DAG, run_id)
    # Found before the checkpoint: to look for them may take longer than what is left of the training then.
    ranks = airflow.wait(DAG, run_id, lambda: ranks_of(airflow), "ranks")
    airflow.wait(DAG, run_id, lambda: list(place.glob(".ratchet/checkpoints/*/*")), "a checkpoint")
    ranks[0].send_signal(signal.SIGKILL)
    airflow.wait(DAG, run_id, lambda: is_at_work(airflow, run_id, "evaluate", "evaluate"), "evaluate")
    return Hit.look(airflow, run_id)


@pytest.fixture(scope="module")
def lost_scheduler(installed: Airflow, lost_rank: Hit) -> Hit:
    """The scheduler is killed while the model is judged; then Airflow is stopped and started. Gives the run's end."""
    airflow = up(installed)
    [scheduler, *_] = [process for process in psutil.process_iter() if is_scheduler(airflow, process)]
    scheduler.send_signal(signal.SIGKILL)
    airflow.wait_until_idle()
    airflow.stop()
    airflow.start()
    airflow.ended(DAG, lost_rank.run_id)
    return Hit.look(airflow, lost_rank.run_id)


def is_at_work(airflow: Airflow, run_id: str, task: str, word: str) -> bool:
    """Return whether a task runs and a process of it whose command holds the word."""
    return airflow.states(DAG, run_id)[task] == "running" and any(
        word in command_of(process) for process in airflow.processes()
    )


def ranks_of(airflow: Airflow) -> list[psutil.Process]:
    return [process for process in airflow.processes() if "pipeline.launching.worker" in command_of(process)]


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_scheduler(airflow: Airflow, process: psutil.Process) -> bool:
    try:
        command, home = process.cmdline(), process.environ().get("AIRFLOW_HOME")
    except psutil.Error:
        return False
    is_airflow = any(Path(word).name == "airflow" for word in command[:2])
    return home == str(airflow.home) and "scheduler" in command and is_airflow


def test_a_task_killed_in_the_ui_leaves_no_process_and_a_failed_run(killed_task: Hit) -> None:
    assert killed_task.run["state"] == "failed"
    assert killed_task.tasks["normalize"]["state"] == "failed"


def test_what_a_failed_run_has_made_is_kept_for_whoever_looks_for_the_cause(killed_task: Hit) -> None:
    assert killed_task.is_place_kept


def test_a_training_that_lost_a_rank_is_tried_again(lost_rank: Hit) -> None:
    assert lost_rank.tasks["train"]["try_number"] >= 2


def test_a_killed_scheduler_takes_its_tasks_with_it_and_the_next_one_ends_the_run(lost_scheduler: Hit) -> None:
    assert lost_scheduler.run["state"] == "success"
    assert not lost_scheduler.is_place_kept
