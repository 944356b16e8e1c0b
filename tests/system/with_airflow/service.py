"""What can be seen of a running Airflow from outside: where it listens, and what a sleeping task has started."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

from tests.system.airflow import Airflow
from tests.waiting import wait_for


def listeners(airflow: Airflow) -> set[tuple[str, int]]:
    """Return the addresses that its processes listen on."""
    connections = []
    for process in airflow.project.processes():
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            connections += process.net_connections("inet")
    return {(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN}


def sleepers() -> list[psutil.Process]:
    """Return what the sleeping task has started, wherever it works."""
    return [one for one in psutil.process_iter() if "98765" in _command(one)]


def start_sleeping(airflow: Airflow) -> str:
    """Trigger the sleeping task; return its run once it sleeps."""
    airflow.switch_on("sleeps")
    run_id = airflow.trigger("sleeps")
    airflow.wait("sleeps", run_id, sleepers, "it sleeps")
    return run_id


def wait_until_nobody_sleeps() -> None:
    """Wait until all that the sleeping task has started is gone."""
    wait_for(lambda: not sleepers(), "nobody sleeps", progress=lambda: {one.pid for one in sleepers()})


def in_session(session: int) -> list[int]:
    """Return the processes of a session."""
    return [one.pid for one in psutil.process_iter() if _session(one) == session]


def _command(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else 0
    except (psutil.Error, OSError):
        return 0
