"""The proof of Horovod that set-up ends with, run for real."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "prove_horovod.py"


def children_of(process_id: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: object, timeout_s: float) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_two_processes_agree() -> None:
    finished = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "two processes agree" in finished.stdout


def test_a_proof_that_takes_too_long_fails_in_one_line() -> None:
    command = [sys.executable, str(SCRIPT), "--timeout-s", "0.2"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 70
    [line] = finished.stderr.splitlines()
    assert "not to be trusted" in line


def test_killing_the_proof_leaves_no_process() -> None:
    launcher = subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: len(children_of(launcher.pid)) == 2, timeout_s=30)
        ranks = children_of(launcher.pid)
    finally:
        launcher.kill()
        launcher.wait()
    assert wait_until(lambda: not any(is_running(rank) for rank in ranks), timeout_s=10)
