"""What set-up does before it installs anything: nothing where it is done, one line where something is missing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
BASICS = "bash cat cut date dirname env flock grep id mkdir mktemp mv printf pwd rm sed sha256sum sleep tail tr uname"
STAND_IN = "#!/bin/sh\nexit 0\n"
JAVA = "#!/bin/sh\nprintf 'java.base@17.0.1\\njdk.incubator.vector@17.0.1\\n'\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what set-up reads, in a folder of its own."""
    copy = tmp_path / "checkout"
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The one folder on PATH: the basic programs of any system, without apt, Java, compiler and make."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BASICS.split():
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


def put(program: Path, text: str) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text)
    program.chmod(0o755)


def set_up(checkout: Path, programs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(programs), "HOME": str(checkout.parent), "RATCHET_CACHE": str(checkout.parent / "cache")}
    return subprocess.run(
        [str(checkout / "scripts" / "setup.sh")],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def pretend_to_be_set_up(checkout: Path) -> None:
    """Lay down what a finished set-up leaves, as far as the next one looks at it."""
    for program in ("python", "ratchet"):
        put(checkout / ".venv" / "bin" / program, STAND_IN)
    (checkout / ".venv" / "lib" / "python3.11" / "site-packages" / "horovod").mkdir(parents=True)
    inputs = sorted([checkout / "pyproject.toml", *(checkout / "requirements").glob("*.txt")])
    digests = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(checkout)}\n" for path in inputs]
    (checkout / ".venv" / "setup.sha256").write_text(f"# {checkout.resolve()}\n" + "".join(digests))


def test_what_the_machine_lacks_is_one_line_to_paste_and_nothing_is_made(checkout: Path, programs: Path) -> None:
    finished = set_up(checkout, programs)
    assert finished.returncode == 2
    assert finished.stdout == ""
    [line] = finished.stderr.splitlines()
    sudo = "" if os.geteuid() == 0 else "sudo "
    packages = r"openjdk-(17|21)-jre-headless g\+\+ make"
    assert re.match(rf"{sudo}apt-get update && {sudo}apt-get install -y {packages}\b", line)
    assert "# Ratchet lacks: Java 17 or 21 (with jdk.incubator.vector), a C++ compiler, make" in line
    assert not (checkout / ".venv").exists()


def test_only_what_is_missing_is_named(checkout: Path, programs: Path) -> None:
    for name in ("make", "git"):
        put(programs / name, STAND_IN)
    put(programs / "java", JAVA)
    finished = set_up(checkout, programs)
    assert finished.returncode == 2
    assert "apt-get install -y g++" in finished.stderr
    assert "jre" not in finished.stderr


def test_an_unusable_java_home_is_named_before_anything_is_installed(checkout: Path, programs: Path) -> None:
    put(programs / "java", JAVA)
    finished = set_up(checkout, programs, JAVA_HOME="/nowhere")
    assert finished.returncode == 2
    [line] = finished.stderr.splitlines()
    assert "JAVA_HOME=/nowhere" in line
    assert "unset JAVA_HOME" in line


def test_a_finished_set_up_does_next_to_nothing(checkout: Path, programs: Path, used_s: Callable[[], float]) -> None:
    put(programs / "java", JAVA)
    pretend_to_be_set_up(checkout)
    before = sorted(checkout.rglob("*"))
    finished = set_up(checkout, programs)
    assert used_s() < 1
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    ["another lock", "moved", "no interpreter", "no Horovod", "no stamp", "no Java"],
)
def test_what_no_longer_holds_is_set_up_again(checkout: Path, programs: Path, change: str) -> None:
    put(programs / "java", JAVA)
    pretend_to_be_set_up(checkout)
    match change:
        case "another lock":
            (checkout / "requirements" / "pipeline.txt").write_text("absl-py==2.5.1\n")
        case "moved":
            checkout = checkout.rename(checkout.parent / "moved")
        case "no interpreter":
            (checkout / ".venv" / "bin" / "python").unlink()
        case "no Horovod":
            (checkout / ".venv" / "lib" / "python3.11" / "site-packages" / "horovod").rmdir()
        case "no stamp":
            (checkout / ".venv" / "setup.sha256").unlink()
        case "no Java":
            (programs / "java").unlink()
    # This machine has no compiler, so that a set-up which finds work to do ends there.
    finished = set_up(checkout, programs)
    assert finished.returncode == 2
    assert "g++" in finished.stderr


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text()
        requirements = re.findall(r"^[A-Za-z0-9][^\n]*", text, re.MULTILINE)
        assert requirements
        assert all(re.match(r"[\w.-]+==[^\s=]+ .*\\$", line) for line in requirements), lock.name
        assert len(re.findall(r"\\\n    --hash=sha256:", text)) >= len(requirements)
        assert "://" not in text
