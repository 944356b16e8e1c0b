"""The short way does what DVC's own command does. Real DVC, in a small project."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.runs import dvc_repro
from pipeline.runs.dvc_repro import Order
from pipeline.runtime import processes
from tests.waiting import size_of, wait_for

# Each of the two ends only when the other has begun.
_MEET = "touch {own}.begun; while [ ! -e {other}.begun ]; do sleep 0.02; done; echo {own} > {own}.txt"
STAGES = {
    "base": {"cmd": "echo base > base.txt", "outs": ["base.txt"]},
    "left": {"cmd": _MEET.format(own="left", other="right"), "deps": ["base.txt"], "outs": ["left.txt"]},
    "right": {"cmd": _MEET.format(own="right", other="left"), "deps": ["base.txt"], "outs": ["right.txt"]},
    "broken": {"cmd": "exit 3", "deps": ["base.txt"]},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


Running = tuple[subprocess.Popen[bytes], Path]


def start(project: Path, stage: str | None = None, **what: Any) -> Running:
    log = project / f"{stage}.log"
    return dvc_repro.start(project, os.environ, log, Order(stage=stage, **what)), log


def finish(running: Running) -> tuple[int, list[str]]:
    process, log = running
    wait_for(
        lambda: process.poll() is not None, "the process ends", progress=lambda: size_of(log), explain=log.read_text
    )
    return process.wait(), log.read_text().splitlines()


def dvc(project: Path, *words: str) -> tuple[int, list[str]]:
    """Run DVC's own command."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", *words],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def held_lock(project: Path) -> Iterator[int]:
    """Hold DVC's lock, as another DVC process would; gives the descriptor to close."""
    descriptor = os.open(project / ".dvc" / "tmp" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_it_says_and_leaves_what_the_command_does(project: Path) -> None:
    ours = finish(start(project, "base"))
    lock = (project / "dvc.lock").read_bytes()
    again = finish(start(project, "base"))
    for name in ("dvc.lock", "base.txt"):
        (project / name).unlink()
    theirs = dvc(project, "--no-run-cache", "base")
    assert (project / "dvc.lock").read_bytes() == lock
    assert ours[0] == theirs[0] == 0
    assert ours[1][:2] == theirs[1][:2] == ["Running stage 'base':", "> echo base > base.txt"]
    assert again == (0, ["Stage 'base' didn't change, skipping"])


def test_a_process_that_was_warmed_up_takes_the_order(project: Path) -> None:
    dvc_repro.warm_up()
    [warm] = dvc_repro._warm
    running = start(project, "base")
    assert running[0] is warm
    assert finish(running)[0] == 0
    assert finish(start(project, "base"))[0] == 0  # and the next one is its own


def test_a_process_without_an_order_ends_with_the_one_that_warmed_it_up(tmp_path: Path) -> None:
    script = "from pipeline.runs import dvc_repro; dvc_repro.warm_up(); print(dvc_repro._warm[0].pid)"
    pid = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    wait_for(lambda: not processes.is_running(int(pid), "dvc"), "the process is gone")


def test_it_works_in_the_environment_that_it_is_given(project: Path) -> None:
    stages = {"tell": {"cmd": "env > told.txt; cat", "outs": ["told.txt"]}}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    environment = {"PATH": os.environ["PATH"], "RATCHET_TOLD": "züri"}
    process = dvc_repro.start(project, environment, project / "log", Order(stage="tell"))
    assert finish((process, project / "log"))[0] == 0  # and `cat` has found its input closed
    told = (project / "told.txt").read_text().splitlines()
    assert "RATCHET_TOLD=züri" in told
    assert not [line for line in told if line.startswith("PYTEST")]


def test_force_runs_what_is_up_to_date(project: Path) -> None:
    finish(start(project, "base"))
    code, lines = finish(start(project, "base", is_single=True, is_forced=True))
    assert code == 0
    assert lines[0] == "Running stage 'base':"


def test_everything_is_brought_up_to_date_without_a_stage(project: Path) -> None:
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"base": STAGES["base"]}}))
    assert finish(start(project))[1][0] == "Running stage 'base':"


def test_a_single_stage_runs_nothing_before_it(project: Path) -> None:
    code, lines = finish(start(project, "broken", is_single=True))
    assert code == 255
    assert "Running stage 'base':" not in lines
    assert any("missing data" in line or "does not exist" in line for line in lines), lines


def test_a_stage_that_fails_is_told_in_dvcs_own_line(project: Path) -> None:
    ours, theirs = finish(start(project, "broken")), dvc(project, "broken")
    assert ours[0] == theirs[0] == 255
    told = "ERROR: failed to reproduce 'broken': failed to run: exit 3, exited with 3"
    assert told in ours[1]
    assert told in theirs[1]


def test_a_broken_dvc_yaml_is_one_error(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: [")
    code, lines = finish(start(project))
    assert code == 255
    assert "'./dvc.yaml' is invalid." in lines


def test_two_stages_that_do_not_need_each_other_run_side_by_side(project: Path) -> None:
    finish(start(project, "base"))
    both = [start(project, name, is_single=True) for name in ("left", "right")]
    assert [finish(one)[0] for one in both] == [0, 0]
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == {"base", "left", "right"}


def test_the_lock_file_is_replaced_as_a_whole(project: Path) -> None:
    # Written over, as DVC's command does it, it would be empty for a moment: killed in it, no later run could read it.
    finish(start(project, "base"))
    before = (project / "dvc.lock").stat()
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"base": {"cmd": "echo 2 > base.txt"}}}))
    assert finish(start(project, "base"))[0] == 0
    after = (project / "dvc.lock").stat()
    assert after.st_ino != before.st_ino
    assert after.st_mode == before.st_mode


def test_a_run_that_finds_the_lock_held_says_so(project: Path, held_lock: int) -> None:
    code, lines = finish(start(project, "base"))
    assert code == 255
    assert any("Unable to acquire lock" in line for line in lines)


def test_a_stage_alone_waits_for_the_lock_longer_than_any_other_run(project: Path, held_lock: int) -> None:
    waiting = start(project, "base", is_single=True)
    assert finish(start(project, "broken"))[0] == 255  # it came later, and has lost patience
    assert waiting[0].poll() is None
    fcntl.flock(held_lock, fcntl.LOCK_UN)
    assert finish(waiting)[0] == 0
