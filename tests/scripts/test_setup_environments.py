"""The set-ups of Airflow's and of the clients' environment: nothing where it is done, all where it no longer holds."""

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


@pytest.fixture(params=["airflow", "clients"])
def name(request: pytest.FixtureRequest) -> str:
    """Which environment is set up, by the name of its lock."""
    return str(request.param)


@pytest.fixture
def checkout(tmp_path: Path, name: str) -> Path:
    """A copy of what set-up reads, as a finished set-up leaves it."""
    copy = tmp_path / "checkout"
    for folder in ("scripts", "requirements"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for started in ("python", "airflow"):
        program = copy / f".venv-{name}" / "bin" / started
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(STAND_IN)
        program.chmod(0o755)
    inputs = [copy / "requirements" / f"{name}.txt", copy / "scripts" / f"setup_{name}.sh"]
    digests = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(copy)}\n" for path in inputs]
    (copy / f".venv-{name}" / "setup.sha256").write_text(f"# {copy.resolve()}\n" + "".join(digests))
    return copy


def set_up(checkout: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run it on a machine that has the basic programs but no Python, so that it ends when it finds work to do."""
    programs = checkout.parent / "bin"
    programs.mkdir(exist_ok=True)
    for basic in BASICS.split():
        if (found := shutil.which(basic)) and not (programs / basic).exists():
            (programs / basic).symlink_to(found)
    # What is usually there, outside PATH too, is hidden from this copy of the script that looks for it.
    finder = checkout / "scripts" / "find_python.sh"
    finder.write_text("#!/usr/bin/env bash\nexit 1\n")
    return subprocess.run(
        [str(checkout / "scripts" / f"setup_{name}.sh")],
        env={"PATH": str(programs), "HOME": str(checkout.parent), "RATCHET_CACHE": str(checkout.parent / "cache")},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def test_a_finished_set_up_does_next_to_nothing(checkout: Path, name: str, used_s: Callable[[], float]) -> None:
    before = sorted(checkout.rglob("*"))
    finished = set_up(checkout, name)
    assert used_s() < 1
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert sorted(checkout.rglob("*")) == before


CHANGES = ["another lock", "moved", "no interpreter", "no stamp"]


@pytest.mark.parametrize(
    ("name", "change"),
    [*((name, change) for name in ("airflow", "clients") for change in CHANGES), ("airflow", "no Airflow")],
    indirect=["name"],
)
def test_what_no_longer_holds_is_set_up_again(checkout: Path, name: str, change: str) -> None:
    environment = checkout / f".venv-{name}"
    match change:
        case "another lock":
            (checkout / "requirements" / f"{name}.txt").write_text("apache-airflow==3.3.1\n")
        case "moved":
            checkout = checkout.rename(checkout.parent / "moved")
        case "no interpreter":
            (environment / "bin" / "python").unlink()
        case "no Airflow":
            (environment / "bin" / "airflow").unlink()
        case "no stamp":
            (environment / "setup.sha256").unlink()
    finished = set_up(checkout, name)
    assert finished.returncode == 2
    [line] = finished.stderr.splitlines()
    assert "no Python 3.11 found" in line
