"""Who may work in a run's folder: one run, or stages beside each other, none beside itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import StorageError, TryAgain
from pipeline.runs.locks import is_run_going_on, maker_lock, run_lock, stage_lock

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


def test_making_worktrees_does_not_stand_in_the_way_of_a_run(tmp_path: Path) -> None:
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
