"""Checks of the project: DVC, the model registry, the Spark master."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from pipeline.doctor.health import HealthCheck
from pipeline.doctor.software import installed_version

_MASTER = re.compile(
    r"""local(\[(\*|[1-9]\d*)(,\s*[1-9]\d*)?\])?
      | local-cluster\[\s*[1-9]\d*\s*,\s*[1-9]\d*\s*,\s*[1-9]\d*\s*\]
      | spark://[^\s:/,]+:\d+(,[^\s:/,]+:\d+)*
      | k8s://\S+
      | yarn""",
    re.VERBOSE,
)


def check_dvc(root: Path) -> HealthCheck:
    """DVC is installed and `root` is a git repository with DVC initialised."""
    here = f"cd {shlex.quote(str(root))} &&"
    if not (version := installed_version("dvc")):
        return HealthCheck("dvc", False, "dvc is not installed", "make setup")
    if not any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        return HealthCheck("dvc", False, f"{root} is not in a git repository", f"{here} git init")
    if not (root / ".dvc" / "config").is_file():
        return HealthCheck("dvc", False, f"{root} has no .dvc/config", f"{here} .venv/bin/dvc init --force")
    return HealthCheck("dvc", True, f"dvc {version}, initialised")


def check_store(root: Path, uri: str) -> HealthCheck:
    """The MLflow store answers, or can be created."""
    from pipeline.doctor.reachability import probe, without_password

    problem = probe(root, uri)
    found = without_password(uri)
    return (
        HealthCheck("mlflow store", False, f"{found}: {problem.what}", problem.remedy)
        if problem
        else HealthCheck("mlflow store", True, found)
    )


def check_spark_master(master: str) -> HealthCheck:
    """The address has one of the forms that Spark accepts; nothing is contacted."""
    if _MASTER.fullmatch(master):
        return HealthCheck("spark master", True, master)
    found = f"'{master}' is none of local[N], spark://host:port, k8s://…, yarn"
    return HealthCheck("spark master", False, found, "ratchet run --execution 'spark.master=local[2]'")
