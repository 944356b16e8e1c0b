"""Examines everything; refuses a run if the machine lacks something.

`examine` is behind `ratchet doctor`; a run calls `require_java` and `require_horovod` first, rather than fail minutes
later with a stack trace. Nothing heavy is imported: versions come from the installed packages' metadata, so the whole
examination is quick and works even if TensorFlow does not load.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pipeline.doctor.gpus import check_gpus
from pipeline.doctor.health import HealthCheck
from pipeline.doctor.machine import check_cores, check_disk, check_memory, check_user, check_work_tree
from pipeline.doctor.project import check_dvc, check_git, check_spark_master, check_store, check_workers
from pipeline.doctor.software import (
    check_compiler,
    check_environment,
    check_horovod,
    check_java,
    check_package,
    check_python,
)
from pipeline.doctor.surroundings import check_configs, check_host, check_keras, check_locale, check_variables
from pipeline.errors import UsageError
from pipeline.recipe.recipe import Device


def examine(
    root: Path,
    *,
    spark_master: str,
    mlflow_uri: str,
    workers: int,
    threads: int = 1,
    device: Device = "cpu",
    pass_on: Collection[str] = (),
) -> list[HealthCheck]:
    """Check everything that a run under `root` needs, with these execution settings and the recipe's `device`.

    A failed check is never raised.
    """
    return [
        check_python(),
        check_environment(root),
        check_java(),
        check_compiler(),
        check_git(root),
        check_package("tensorflow", "tensorflow-cpu", "tensorflow"),
        check_horovod(workers),
        check_gpus(device, workers),
        check_package("pyspark", "pyspark"),
        check_package("great expectations", "great-expectations"),
        check_dvc(root),
        check_store(root, mlflow_uri),
        check_spark_master(spark_master),
        check_workers(root, workers),
        check_cores(workers, threads),
        check_memory(workers),
        check_disk(root),
        check_work_tree(root),
        check_user(),
        check_variables(root, pass_on),
        check_keras(),
        check_locale(),
        check_host(workers),
        check_configs(root),
    ]


def require_java() -> None:
    """Raise UsageError unless there is a Java that Spark runs on."""
    check = check_java()
    if not check.is_ok:
        raise UsageError(f"Spark cannot start: {check.found}. To fix it: {check.remedy}")


def require_horovod() -> None:
    """Raise UsageError if Horovod is missing, was built for another TensorFlow, or cannot work on this machine."""
    for check in (check_horovod(workers=2), check_host(workers=2)):
        if not check.is_ok:
            raise UsageError(f"training with several workers cannot start: {check.found}. To fix it: {check.remedy}")
