"""The short way does what DVC's own command does. Real DVC, in a small project."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
_WAIT_S = 60.0
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


def start(project: Path, *words: str, module: str = "pipeline.dvc_repro") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *module.split(), *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    output, _ = process.communicate(timeout=_WAIT_S)
    return process.returncode, output.splitlines()


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
    dvc = finish(start(project, "--no-run-cache", "base", module="dvc repro"))
    assert (project / "dvc.lock").read_bytes() == lock
    assert ours[0] == dvc[0] == 0
    assert [line for line in dvc[1] if line.startswith(("Running", "> "))] == [
        "Running stage 'base':",
        "> echo base > base.txt",
    ]
    assert ours[1][:2] == dvc[1][:2]
    assert again == (0, ["Stage 'base' didn't change, skipping"])


def test_force_runs_what_is_up_to_date(project: Path) -> None:
    finish(start(project, "base"))
    code, lines = finish(start(project, "--single-item", "--force", "base"))
    assert code == 0
    assert lines[0] == "Running stage 'base':"


def test_a_single_item_runs_nothing_before_it(project: Path) -> None:
    code, lines = finish(start(project, "--single-item", "broken"))
    assert code == 255
    assert "Running stage 'base':" not in lines
    assert any("missing data" in line or "does not exist" in line for line in lines), lines


def test_a_stage_that_fails_is_told_in_dvcs_own_line(project: Path) -> None:
    ours, dvc = finish(start(project, "broken")), finish(start(project, "broken", module="dvc repro"))
    assert ours[0] == dvc[0] == 255
    told = "ERROR: failed to reproduce 'broken': failed to run: exit 3, exited with 3"
    assert told in ours[1]
    assert told in dvc[1]


def test_a_broken_dvc_yaml_is_one_error(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: [")
    code, lines = finish(start(project))
    assert code == 255
    assert "'./dvc.yaml' is invalid." in lines


def test_two_stages_that_do_not_need_each_other_run_side_by_side(project: Path) -> None:
    finish(start(project, "base"))
    both = [start(project, "--single-item", "--wait", name) for name in ("left", "right")]
    assert [finish(one)[0] for one in both] == [0, 0]
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == {"base", "left", "right"}


def test_without_wait_a_held_lock_is_told(project: Path, held_lock: int) -> None:
    code, lines = finish(start(project, "base"))
    assert code == 255
    assert any("Unable to acquire lock" in line for line in lines)


def test_with_wait_a_held_lock_is_waited_for(project: Path, held_lock: int) -> None:
    waiting = start(project, "--wait", "base")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(5.0)  # longer than DVC waits of itself
    fcntl.flock(held_lock, fcntl.LOCK_UN)
    assert finish(waiting)[0] == 0
