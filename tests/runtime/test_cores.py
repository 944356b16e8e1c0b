"""A rank has cores of its own, for as long as it lives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.runtime.cores import own_cores, yielding_threads

CLAIM = """
import sys
from pipeline.runtime.cores import own_cores
with own_cores(int(sys.argv[1]), 1, 0) as cores:
    print(sorted(cores), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim under a folder of the test's own: a real training may be running."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_a_rank_keeps_to_its_core_within_the_block_only() -> None:
    before = os.sched_getaffinity(0)
    with own_cores(1, 1, 0) as cores:
        assert os.sched_getaffinity(0) == cores
        assert len(cores) == 1
    assert os.sched_getaffinity(0) == before


def test_ranks_that_are_more_than_the_cores_are_left_free() -> None:
    before = os.sched_getaffinity(0)
    with own_cores(1, len(before) + 1, 0) as cores:
        assert cores == frozenset()
        assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_no_two_processes_get_the_same_core_and_a_killed_one_gives_its_own_back() -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CLAIM, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def first_line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    with start() as one, start() as other:
        assert len({first_line(one), first_line(other)} - {"[]"}) == 2
        one.kill()
        other.kill()
    with start() as next_one:
        assert first_line(next_one) == str(sorted(os.sched_getaffinity(0))[:1])
        next_one.kill()


def test_without_a_folder_of_the_users_own_nothing_is_claimed_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("not to be written")
    (tmp_path / "ratchet" / "cores").mkdir(parents=True, mode=0o700)
    for core in os.sched_getaffinity(0):
        (tmp_path / "ratchet" / "cores" / str(core)).symlink_to(other)
    before = os.sched_getaffinity(0)
    with own_cores(1, 1, 0) as cores:
        assert (cores, os.sched_getaffinity(0)) == (frozenset(), before)
    assert other.read_text() == "not to be written"


def test_threads_of_the_block_yield_and_the_process_does_not() -> None:
    policies: list[int] = []
    with yielding_threads():
        thread = threading.Thread(target=lambda: policies.append(os.sched_getscheduler(threading.get_native_id())))
        thread.start()
        thread.join()
    assert policies == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
