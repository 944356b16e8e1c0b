"""The whole examination, on this machine and on one that has nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.doctor.examine import examine, require_horovod, require_java
from pipeline.doctor.health import HealthCheck
from pipeline.errors import UsageError

ROOT = Path(__file__).parents[2]
NAMES = [
    "python",
    "environment",
    "java",
    "c++ compiler",
    "git",
    "tensorflow",
    "horovod",
    "gpus",
    "pyspark",
    "great expectations",
    "dvc",
    "mlflow store",
    "spark master",
    "workers",
    "cores",
    "memory",
    "disk",
    "work tree",
    "user",
    "environment variables",
    "keras settings",
    "locale",
    "host name",
    "configs",
]
MOST_S = 3.0  # of processor time: loading one heavy library on a slow machine would take it


def examined() -> list[HealthCheck]:
    return examine(ROOT, spark_master="local[2]", mlflow_uri="sqlite:///registry/mlflow.db", workers=2)


def test_every_part_is_examined_and_every_failure_has_a_one_line_remedy() -> None:
    checks = examined()
    assert [check.name for check in checks] == NAMES
    for check in checks:
        assert check.found
        assert "\n" not in check.found + check.remedy
        assert check.is_ok == (not check.remedy)


def test_examining_is_quick() -> None:
    began_s = sum(os.times()[:4])  # of this process and those it starts: other work on the machine does not count
    examined()
    assert sum(os.times()[:4]) - began_s < MOST_S


def test_this_machine_has_what_the_tests_themselves_need() -> None:
    needed = {"python", "java", "tensorflow", "horovod", "pyspark", "great expectations"}
    assert [check for check in examined() if check.name in needed and not check.is_ok] == []
    require_java()
    require_horovod()


def test_nothing_raises_on_a_machine_that_has_nothing(empty_path: Path, tmp_path: Path) -> None:
    checks = examine(tmp_path, spark_master="", mlflow_uri="http://127.0.0.1:9", workers=4096)
    failed = {check.name for check in checks if not check.is_ok}
    assert failed >= {"environment", "java", "dvc", "mlflow store", "spark master", "cores", "memory"}


@pytest.mark.long
def test_examining_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.doctor.examine import examine;"
        "examine(Path('.'), spark_master='yarn', mlflow_uri='file:registry', workers=1);"
        "print(*{'tensorflow', 'horovod', 'pyspark', 'mlflow', 'great_expectations', 'dvc'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""


def test_without_java_what_needs_spark_refuses_with_the_remedy(empty_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Spark cannot start.*apt-get install -y openjdk-\d+-jre-headless"):
        require_java()


def test_without_horovod_several_workers_refuse_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UsageError, match=r"training with several workers cannot start.*make setup"):
        require_horovod()
