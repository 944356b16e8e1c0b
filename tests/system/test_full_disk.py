"""A disk that is full, for real: one line, and nothing that stays broken once there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.project import Project, make_project

_DISK_KIB = 24 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB, in memory. Mounting one takes the right to: without it, nothing here can be shown."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_KIB}k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, free_kib: int) -> None:
    """Leave so much room on the disk and no more."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    found = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - free_kib * 1024)


def test_a_run_that_fills_the_disk_is_one_line_and_the_next_one_goes_on(small_disk: Path) -> None:
    project: Project = make_project(small_disk / "project")
    for free_kib in (0, 64, 1500, 4000):  # where the run begins, in ingest, at its end, while the registry is made
        fill(small_disk, free_kib)
        done = project.ratchet("run")
        assert done.returncode == 74, (free_kib, done.stderr)
        told = [line for line in done.stderr.splitlines() if line.startswith("ratchet: ")]
        assert len(told) == 1, (free_kib, done.stderr)
        assert "no space left" in told[0].lower(), (free_kib, told)
    (small_disk / "filler").unlink()
    done = project.ratchet("run")
    assert done.returncode == 0, done.stderr
    assert "verdict: PROMOTE" in done.stdout
