"""What `ratchet doctor` finds on this machine, and on machines that lack something."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.doctor import software
from pipeline.doctor.examine import examine, require_horovod, require_java
from pipeline.doctor.health import HealthCheck
from pipeline.doctor.machine import check_cores, check_memory, check_work_tree
from pipeline.doctor.project import check_dvc, check_spark_master
from pipeline.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
NAMES = [
    "python",
    "environment",
    "java",
    "c++ compiler",
    "git",
    "tensorflow",
    "horovod",
    "pyspark",
    "great expectations",
    "dvc",
    "mlflow store",
    "spark master",
    "cores",
    "memory",
    "disk",
    "work tree",
]
MODULES = "java.base@{version}\njava.sql@{version}\n"


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one folder, which is empty; no JAVA_HOME."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def put_program(folder: Path, name: str, prints: str, exit_code: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\nprintf '%s' '{prints}'\nexit {exit_code}\n")
    program.chmod(0o755)


def set_up(root: Path, lock: str, installed: dict[str, str]) -> None:
    """Lay down what scripts/setup.sh leaves: a lock, installed packages and the stamp."""
    packages = root / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, version in installed.items():
        (packages / f"{name}-{version}.dist-info").mkdir(parents=True)
    (root / "requirements").mkdir()
    (root / software.LOCK).write_text(lock)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    (root / software.STAMP).write_text(f"# {root.resolve()}\n{digest}  {software.LOCK}\n")


# -- the whole


def test_every_part_is_examined_in_under_a_second_and_every_failure_has_a_one_line_remedy() -> None:
    began = sum(
        os.times()[:4]
    )  # this process and those it started; not the clock, which other work on the machine moves
    checks = examine(ROOT, spark_master="local[2]", mlflow_uri="sqlite:///registry/mlflow.db", workers=2)
    assert sum(os.times()[:4]) - began < 1
    assert [check.name for check in checks] == NAMES
    for check in checks:
        assert check.found
        assert "\n" not in check.found + check.remedy
        assert check.is_ok == (not check.remedy)


def test_this_machine_has_what_the_tests_themselves_need() -> None:
    checks = examine(ROOT, spark_master="local[2]", mlflow_uri="sqlite:///registry/mlflow.db", workers=2)
    needed = {"python", "java", "git", "tensorflow", "horovod", "pyspark", "great expectations"}
    assert [check for check in checks if check.name in needed and not check.is_ok] == []
    require_java()
    require_horovod()


def test_nothing_raises_on_a_machine_that_has_nothing(empty_path: Path, tmp_path: Path) -> None:
    checks = examine(tmp_path, spark_master="", mlflow_uri="http://127.0.0.1:9", workers=4096)
    failed = {check.name for check in checks if not check.is_ok}
    assert failed >= {"environment", "java", "git", "dvc", "mlflow store", "spark master", "cores", "memory"}


def test_examining_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.doctor.examine import examine;"
        "examine(Path('.'), spark_master='yarn', mlflow_uri='file:registry', workers=1);"
        "print(*{'tensorflow', 'horovod', 'pyspark', 'mlflow', 'great_expectations', 'dvc'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""


# -- Java


def test_without_java_the_remedy_is_an_apt_line_and_stages_refuse(empty_path: Path) -> None:
    check = software.check_java()
    assert not check.is_ok
    assert "apt-get install -y openjdk-" in check.remedy
    with pytest.raises(UsageError, match=r"Spark cannot start.*apt-get install -y openjdk-\d+-jre-headless") as caught:
        require_java()
    assert caught.value.exit_code == 2


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


# -- Horovod and DVC


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
    with pytest.raises(UsageError, match=r"training with several workers cannot start.*make setup"):
        require_horovod()


def test_a_missing_horovod_matters_only_to_several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert software.check_horovod(workers=1).is_ok
    assert software.check_horovod(workers=2).remedy == "make setup"


def test_dvc_needs_a_repository_and_its_own_configuration(tmp_path: Path) -> None:
    assert check_dvc(tmp_path).remedy.endswith("git init")
    (tmp_path / ".git").mkdir()
    assert check_dvc(tmp_path).remedy.endswith("dvc init --force")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    assert check_dvc(tmp_path).is_ok


# -- what the execution settings ask for


@pytest.mark.parametrize(
    "master",
    [
        "local",
        "local[2]",
        "local[*]",
        "local[4, 3]",
        "local-cluster[2,1,1024]",
        "spark://host:7077",
        "spark://a:7077,b:7077",
        "k8s://https://host:443",
        "yarn",
    ],
)
def test_every_form_of_master_that_spark_knows_is_accepted(master: str) -> None:
    assert check_spark_master(master).is_ok


@pytest.mark.parametrize(
    "master", ["", "local[0]", "local[]", "loca[2]", "spark://host", "spark:/host:1", "mesos://a:1"]
)
def test_any_other_master_is_refused(master: str) -> None:
    check = check_spark_master(master)
    assert not check.is_ok
    assert "--execution" in check.remedy


def test_more_workers_than_cores_or_memory_is_refused_with_a_number_that_fits() -> None:
    assert check_cores(1).is_ok
    assert "horovod.workers=" in check_cores(4096).remedy
    assert check_memory(1).is_ok
    assert "horovod.workers=" in check_memory(4096).remedy


def test_a_work_tree_where_nothing_can_be_written_is_refused() -> None:
    check = check_work_tree(Path("/proc"))  # read-only for root too
    assert not check.is_ok
    assert check.remedy.startswith("sudo chown")
