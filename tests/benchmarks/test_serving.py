"""What the benchmark of the service does to processes: it keeps one to some cores, and lets go of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.serving import apart, keep_to

WITH_THREADS = """
import threading, time
for _ in range(3):
    threading.Thread(target=time.sleep, args=[60], daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


def cores_of(pid: int) -> list[set[int]]:
    """Return the cores of each thread of a process."""
    return [os.sched_getaffinity(int(each.name)) for each in Path(f"/proc/{pid}/task").iterdir()]


def test_all_threads_of_a_service_are_kept_from_its_clients_cores_and_let_go_afterwards() -> None:
    own = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", WITH_THREADS], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            if len(own) > 1:
                with apart(process.pid):
                    [theirs] = {frozenset(each) for each in cores_of(process.pid)}
                    assert theirs
                    assert os.sched_getaffinity(0) == own - theirs
            assert cores_of(process.pid) == [own] * 4
            assert os.sched_getaffinity(0) == own
        finally:
            process.kill()
    keep_to(process.pid, sorted(own))  # nobody is there: nothing is done
