"""The software that a machine has, and that another lacks."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from pipeline.doctor import software
from pipeline.doctor.health import HealthCheck

MODULES = "java.base@{version}\njava.sql@{version}\n"


def put_program(folder: Path, name: str, prints: str, exit_code: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\nprintf '%s' '{prints}'\nexit {exit_code}\n")
    program.chmod(0o755)


def set_up(root: Path, lock: str, installed: dict[str, str], file: Path = software.LOCK) -> None:
    """Lay down what scripts/setup.sh leaves: a lock, installed packages and the stamp."""
    packages = root / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, version in installed.items():
        (packages / f"{name}-{version}.dist-info").mkdir(parents=True)
    (root / "requirements").mkdir()
    (root / file).write_text(lock)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    (root / software.STAMP).write_text(f"# {root.resolve()}\n{digest}  {file}\n")


# -- Java


def test_without_java_the_remedy_is_an_apt_line(empty_path: Path) -> None:
    check = software.check_java()
    assert not check.is_ok
    assert "apt-get install -y openjdk-" in check.remedy


def test_java_home_wins_over_path_as_it_does_for_spark(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(empty_path, "java", MODULES.format(version="17.0.1") + "jdk.incubator.vector@17.0.1\n")
    assert software.check_java().is_ok
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    check = software.check_java()
    assert not check.is_ok
    assert check.remedy == "unset JAVA_HOME"
    put_program(tmp_path / "gone" / "bin", "java", MODULES.format(version="21") + "jdk.incubator.vector@21\n")
    assert software.check_java().found == "Java 21 with jdk.incubator.vector"


@pytest.mark.parametrize(
    ("prints", "says"),
    [
        (MODULES.format(version="11.0.2") + "jdk.incubator.vector@11\n", "is Java 11"),
        (MODULES.format(version="25") + "jdk.incubator.vector@25\n", "is Java 25"),
        ("Unrecognized option: --list-modules\n", "older than Java 9"),
        (MODULES.format(version="17.0.1"), "trimmed Java"),
    ],
)
def test_a_java_that_spark_cannot_use_is_refused(empty_path: Path, prints: str, says: str) -> None:
    put_program(empty_path, "java", prints)
    check = software.check_java()
    assert not check.is_ok
    assert says in check.found


# -- the environment


def test_an_environment_in_step_with_the_lock_is_accepted(tmp_path: Path) -> None:
    set_up(tmp_path, "absl-py==2.5.1 \\\n    --hash=sha256:00\n", {"absl_py": "2.5.1", "extra": "1"})
    assert software.check_environment(tmp_path) == HealthCheck("environment", True, ".venv holds the 1 locked packages")


def test_an_environment_with_gpus_is_held_against_its_own_lock(tmp_path: Path) -> None:
    installed = {"absl_py": "2.5.1", "tensorflow": "2.21.0"}
    set_up(tmp_path, "absl-py==2.5.1\ntensorflow[and-cuda]==2.21.0 \\\n", installed, software.GPU_LOCK)
    (tmp_path / software.LOCK).write_text("tensorflow-cpu==2.21.0\n")
    assert software.check_environment(tmp_path).found == ".venv holds the 2 locked packages"


def test_a_package_with_an_extra_that_differs_from_the_lock_is_named(tmp_path: Path) -> None:
    set_up(tmp_path, "tensorflow[and-cuda]==2.21.0\n", {"tensorflow": "2.20.0"}, software.GPU_LOCK)
    assert software.check_environment(tmp_path).found == "tensorflow 2.21.0 is locked, 2.20.0 is installed"


def test_a_lock_that_changed_since_set_up_is_noticed(tmp_path: Path) -> None:
    set_up(tmp_path, "absl-py==2.5.1\n", {"absl_py": "2.5.1"})
    (tmp_path / software.LOCK).write_text("absl-py==2.6\n")
    check = software.check_environment(tmp_path)
    assert "requirements/pipeline.txt has changed" in check.found
    assert check.remedy.endswith("make setup")


def test_a_package_that_differs_from_the_lock_is_named(tmp_path: Path) -> None:
    set_up(tmp_path, "absl-py==2.5.1\nnumpy==2.4.0\n", {"absl_py": "2.5.1", "numpy": "2.3.9"})
    assert software.check_environment(tmp_path).found == "numpy 2.4.0 is locked, 2.3.9 is installed"


def test_an_environment_of_a_checkout_that_was_moved_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    set_up(tmp_path / "old", "absl-py==2.5.1\n", {"absl_py": "2.5.1"})
    (tmp_path / "old").rename(tmp_path / "new")
    assert "another folder" in software.check_environment(tmp_path / "new").found


def test_an_interrupted_set_up_is_noticed(tmp_path: Path) -> None:
    assert "has not finished" in software.check_environment(tmp_path).found


# -- Horovod


def make_horovod(site: Path, *, built_for: str | None, has_library: bool = True) -> None:
    for name, version in (("horovod", "0.28.1"), ("tensorflow_cpu", "2.21.0")):
        (site / f"{name}-{version}.dist-info").mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (site / f"{name}-{version}.dist-info" / "METADATA").write_text(metadata)
    (site / "horovod" / "tensorflow").mkdir(parents=True)
    if built_for:
        (site / "horovod" / "metadata.json").write_text(f'{{"tensorflow": "{built_for}"}}')
    if has_library:
        (site / "horovod" / "tensorflow" / "mpi_lib.cpython-311-x86_64-linux-gnu.so").touch()


@pytest.mark.parametrize(
    ("built_for", "has_library", "says"),
    [
        ("2.20.0", True, "was built for TensorFlow 2.20.0, but 2.21.0 is installed"),
        (None, True, "was built without TensorFlow"),
        ("2.21.0", False, "was built without TensorFlow"),
    ],
)
def test_a_horovod_built_for_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built_for: str | None, has_library: bool, says: str
) -> None:
    make_horovod(tmp_path, built_for=built_for, has_library=has_library)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert says in software.check_horovod(workers=2).found


def test_a_missing_horovod_matters_only_to_several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert software.check_horovod(workers=1).is_ok
    assert software.check_horovod(workers=2).remedy == "make setup"


# -- the compiler, packages


def test_a_compiler_is_needed_only_until_horovod_is_built(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    assert software.check_compiler().remedy.endswith("apt-get install -y g++")
    make_horovod(tmp_path / "site", built_for="2.21.0")
    assert software.check_compiler().is_ok


def test_one_of_several_distributions_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_horovod(tmp_path, built_for="2.21.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert software.check_package("tensorflow", "tensorflow", "tensorflow-cpu").found == "tensorflow-cpu 2.21.0"
    assert software.check_package("pyspark", "pyspark").remedy == "make setup"
