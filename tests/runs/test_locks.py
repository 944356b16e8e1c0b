"""Who may work in a run's folder: one run, or stages beside each other, none beside itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import StorageError, TryAgain
from pipeline.runs import locks
from pipeline.runs.locks import is_run_going_on, maker_lock, run_lock, same_work_lock, stage_lock

WORK, OTHER_WORK = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
WAIT_S = 30.0
HOLD = (
    "import sys, pathlib; from pipeline.runs.locks import run_lock\n"
    "with run_lock(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


def test_two_runs_never_work_in_one_folder_and_the_second_is_told_who_does(tmp_path: Path) -> None:
    with run_lock(tmp_path), pytest.raises(TryAgain, match=f"process {os.getpid()}"), run_lock(tmp_path):
        pass


def test_a_run_that_has_ended_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        with run_lock(tmp_path):
            pass


def test_patience_ends(tmp_path: Path) -> None:
    with run_lock(tmp_path), pytest.raises(TryAgain), run_lock(tmp_path, patience_s=0.3):
        pass


def test_stages_work_side_by_side(tmp_path: Path) -> None:
    with stage_lock(tmp_path, "train"), stage_lock(tmp_path, "champion"):
        pass


def test_a_stage_never_works_beside_itself(tmp_path: Path) -> None:
    with stage_lock(tmp_path, "train"), pytest.raises(TryAgain), stage_lock(tmp_path, "train"):
        pass
    with stage_lock(tmp_path, "train"):
        pass


def test_a_whole_run_and_a_stage_never_work_in_one_folder(tmp_path: Path) -> None:
    with stage_lock(tmp_path, "train"), pytest.raises(TryAgain), run_lock(tmp_path):
        pass
    with run_lock(tmp_path), pytest.raises(TryAgain), stage_lock(tmp_path, "train"):
        pass


def test_making_workspaces_does_not_stand_in_the_way_of_a_run(tmp_path: Path) -> None:
    with maker_lock(tmp_path), run_lock(tmp_path):
        pass


def test_a_run_goes_on_while_it_or_a_stage_of_it_holds_the_folder(tmp_path: Path) -> None:
    assert not is_run_going_on(tmp_path)
    with run_lock(tmp_path):
        assert is_run_going_on(tmp_path)
    assert not is_run_going_on(tmp_path)
    with stage_lock(tmp_path, "train"):
        assert is_run_going_on(tmp_path)
    assert not is_run_going_on(tmp_path)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(TryAgain, match=f"process {process.pid}"), run_lock(tmp_path):
            pass
        process.kill()
        process.wait()
        with run_lock(tmp_path):
            pass


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StorageError, match=r"/proc/\.ratchet: cannot be written"), run_lock(Path("/proc")):
        pass


class Clock:
    """Time that passes only while somebody waits, half a second at each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.at_each_look: Callable[[], object] = lambda: None
        monkeypatch.setattr(locks, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=self.look))

    def look(self, _: float) -> None:
        self.now_s += 0.5
        self.at_each_look()
        threading.Event().wait(0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def waits(clock: Clock, first: AbstractContextManager[None], second: AbstractContextManager[None]) -> bool:
    """Return whether the second has to wait until the first has ended."""
    held, looked, end = threading.Event(), threading.Event(), threading.Event()
    clock.at_each_look = lambda: (looked.set(), end.set())

    def hold() -> None:
        with first:
            held.set()
            assert end.wait(WAIT_S)

    with ThreadPoolExecutor() as threads:
        holding = threads.submit(hold)
        assert held.wait(WAIT_S)
        with second:
            end.set()
        holding.result(WAIT_S)
    return looked.is_set()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((WORK,), (WORK,), True),
        ((WORK,), (OTHER_WORK,), False),
        ((WORK,), (WORK, "train"), True),
        ((WORK, "train"), (WORK,), True),
        ((WORK, "train"), (WORK, "train"), True),
        ((WORK, "train"), (WORK, "champion"), False),
        ((WORK, "train"), (OTHER_WORK, "train"), False),
    ],
)
def test_who_would_do_the_same_work_waits_for_who_does_it(
    tmp_path: Path, clock: Clock, first: tuple[str, ...], second: tuple[str, ...], expected: bool
) -> None:
    assert waits(clock, same_work_lock(tmp_path, *first), same_work_lock(tmp_path, *second)) is expected


@pytest.mark.parametrize(("looks", "said"), [(4, []), (5, [1]), (50, [1])])
def test_a_wait_is_announced_once_it_is_longer_than_two_seconds(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str], looks: int, said: list[int]
) -> None:
    held, end, seen = threading.Event(), threading.Event(), list[int]()

    def hold() -> None:
        with same_work_lock(tmp_path, WORK, "train"):
            held.set()
            assert end.wait(WAIT_S)

    def look() -> None:
        seen.append(1)
        if len(seen) > looks:
            end.set()
            holding.result(WAIT_S)

    clock.at_each_look = look
    with ThreadPoolExecutor() as threads:
        holding = threads.submit(hold)
        assert held.wait(WAIT_S)
        with same_work_lock(tmp_path, WORK, "train"):
            pass
    assert capsys.readouterr().out == "waiting: another run does the same work in stage train\n" * len(said)


def test_a_killed_process_does_no_work(tmp_path: Path) -> None:
    code = HOLD.replace("run_lock", "same_work_lock").replace("sys.argv[1])", "sys.argv[1]), sys.argv[2]")
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path, WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()
    with same_work_lock(tmp_path, WORK):
        pass
