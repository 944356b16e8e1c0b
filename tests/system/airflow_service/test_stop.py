"""Stopping Airflow: everything of this checkout, also what a killed one has left, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.system.airflow_service.stand_in import Checkout, make_checkout
from tests.waiting import wait_for


def start_with_a_task(checkout: Checkout) -> None:
    """Start it and return when the task has left the session."""
    assert checkout.start("with a task").returncode == 0
    wait_for(lambda: len({os.getsid(process.pid) for process in checkout.processes()}) == 2, "the task's own session")


def test_stop_where_none_ever_ran_makes_nothing(checkout: Checkout) -> None:
    assert checkout.stop().returncode == 0
    assert not (checkout.root / ".airflow").exists()


def test_stop_finds_what_a_killed_standalone_left_behind(checkout: Checkout) -> None:
    start_with_a_task(checkout)
    assert len(checkout.processes()) == 3
    os.kill(checkout.pid, signal.SIGKILL)
    stopped = checkout.stop("--grace-s", "0.5")
    assert stopped.returncode == 0, stopped.stderr
    assert "by force" in stopped.stdout
    assert checkout.processes() == []


def test_start_ends_what_a_killed_standalone_left_behind(checkout: Checkout) -> None:
    start_with_a_task(checkout)
    left = {process.pid for process in checkout.processes()}
    os.kill(checkout.pid, signal.SIGKILL)
    started = checkout.start("well", "--grace-s", "0.5")
    assert started.returncode == 0, started.stderr
    assert "something was left of an Airflow that was killed" in started.stdout
    assert not left & {process.pid for process in checkout.processes()}


def test_a_process_that_has_got_the_pid_meanwhile_is_left_alone(checkout: Checkout) -> None:
    checkout.start()
    record = checkout.root / ".airflow" / "standalone.json"
    fields = json.loads(record.read_text())
    checkout.stop()
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as innocent:
        try:
            record.write_text(json.dumps({**fields, "pid": innocent.pid}))
            assert checkout.call("status").returncode == 1
            assert checkout.stop().stdout == "Airflow is not running\n"
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_what_a_killed_start_has_begun_is_known(checkout: Checkout) -> None:
    with checkout.popen("start", "--port", str(checkout.port), AS="deaf") as starting:
        assert starting.stdout
        starting.stdout.readline()
        starting.kill()
    assert checkout.call("status").returncode == 1
    stopped = checkout.stop()
    assert "Airflow has ended: 1 processes" in stopped.stdout
    assert checkout.processes() == []


def test_another_checkout_is_not_touched(checkout: Checkout, tmp_path: Path) -> None:
    other = make_checkout(tmp_path / "checkout-2")
    try:
        assert checkout.start().returncode == 0
        assert other.start().returncode == 0
        checkout.stop()
        assert other.call("status").returncode == 0
    finally:
        other.stop()
    assert other.processes() == []
