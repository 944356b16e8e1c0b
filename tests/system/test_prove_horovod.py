"""The proof of Horovod that set-up ends with, run for real."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.processes_in import is_gone
from tests.system.project import ROOT
from tests.waiting import HANG_S, wait_for

SCRIPT = ROOT / "scripts" / "prove_horovod.py"


def prove(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


def test_two_processes_agree() -> None:
    finished = prove("--timeout-s", str(HANG_S))
    assert finished.returncode == 0, finished.stderr
    assert "two processes agree" in finished.stdout


def test_a_proof_that_takes_too_long_fails_in_one_line() -> None:
    finished = prove("--timeout-s", "0.2")
    assert finished.returncode == 70
    [line] = finished.stderr.splitlines()
    assert "not to be trusted" in line


def test_killing_the_proof_leaves_no_process() -> None:
    launcher = subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ranks = wait_for(
            lambda: len(found := psutil.Process(launcher.pid).children()) == 2 and [rank.pid for rank in found],
            "both ranks",
        )
    finally:
        launcher.kill()
        launcher.wait()
    wait_for(lambda: all(is_gone(rank) for rank in ranks), "both ranks are gone")
