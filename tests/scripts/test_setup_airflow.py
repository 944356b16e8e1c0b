"""The set-up of Airflow's environment: nothing where it is done, all of it where it no longer holds."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
BASICS = "bash cat cut date dirname env flock grep id mkdir mktemp mv pwd rm sed sha256sum sleep tail tr uname"
STAND_IN = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what set-up reads, as a finished set-up leaves it."""
    copy = tmp_path / "checkout"
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("python", "airflow"):
        program = copy / ".venv-airflow" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(STAND_IN)
        program.chmod(0o755)
    inputs = [copy / "requirements" / "airflow.txt", copy / "scripts" / "setup_airflow.sh"]
    digests = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(copy)}\n" for path in inputs]
    (copy / ".venv-airflow" / "setup.sha256").write_text(f"# {copy.resolve()}\n" + "".join(digests))
    return copy


def set_up(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run it on a machine that has the basic programs but no Python, so that it ends when it finds work to do."""
    programs = checkout.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name in BASICS.split():
        if (found := shutil.which(name)) and not (programs / name).exists():
            (programs / name).symlink_to(found)
    # What is usually there, outside PATH too, is hidden from this copy of the script that looks for it.
    finder = checkout / "scripts" / "find_python.sh"
    finder.write_text("#!/usr/bin/env bash\nexit 1\n")
    return subprocess.run(
        [str(checkout / "scripts" / "setup_airflow.sh")],
        env={"PATH": str(programs), "HOME": str(checkout.parent), "RATCHET_CACHE": str(checkout.parent / "cache")},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def test_a_finished_set_up_does_next_to_nothing(checkout: Path, used_s: Callable[[], float]) -> None:
    before = sorted(checkout.rglob("*"))
    finished = set_up(checkout)
    assert used_s() < 1
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize("change", ["another lock", "moved", "no interpreter", "no Airflow", "no stamp"])
def test_what_no_longer_holds_is_set_up_again(checkout: Path, change: str) -> None:
    environment = checkout / ".venv-airflow"
    match change:
        case "another lock":
            (checkout / "requirements" / "airflow.txt").write_text("apache-airflow==3.3.1\n")
        case "moved":
            checkout = checkout.rename(checkout.parent / "moved")
        case "no interpreter":
            (environment / "bin" / "python").unlink()
        case "no Airflow":
            (environment / "bin" / "airflow").unlink()
        case "no stamp":
            (environment / "setup.sha256").unlink()
    finished = set_up(checkout)
    assert finished.returncode == 2
    [line] = finished.stderr.splitlines()
    assert "no Python 3.11 found" in line
