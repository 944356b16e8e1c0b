"""Checks of the project: git, DVC, the model registry, the Spark master."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from pipeline.doctor.health import HealthCheck
from pipeline.doctor.software import installed_version
from pipeline.errors import RatchetError, StorageError, without_secrets
from pipeline.recipe.recipe import load_recipe
from pipeline.runtime.git import git

_MASTER = re.compile(
    r"""local(\[(\*|[1-9]\d*)(,\s*[1-9]\d*)?\])?
      | local-cluster\[\s*[1-9]\d*\s*,\s*[1-9]\d*\s*,\s*[1-9]\d*\s*\]
      | spark://[^\s:/,]+:\d+(,[^\s:/,]+:\d+)*
      | k8s://\S+
      | yarn""",
    re.VERBOSE,
)


def check_workers(root: Path, workers: int) -> HealthCheck:
    """The workers can share the recipe's virtual workers equally."""
    try:
        virtual_workers = load_recipe(root).train.virtual_workers
    except RatchetError as error:
        return HealthCheck("workers", True, f"the recipe cannot be read, so not known: {error!s:.150}")
    if virtual_workers % workers == 0:
        return HealthCheck("workers", True, f"{workers} for {virtual_workers} virtual workers")
    fits = max(each for each in range(1, workers + 1) if virtual_workers % each == 0)
    found = f"{workers} cannot share the recipe's {virtual_workers} virtual workers equally"
    return HealthCheck("workers", False, found, f"ratchet run --execution horovod.workers={fits}")


def check_git(root: Path) -> HealthCheck:
    """Whether runs will name a commit. Nothing else needs git, so that nothing of it is a failure."""

    def without(why: str) -> HealthCheck:
        return HealthCheck("git", True, f"{why}: runs will not name a commit")

    if not shutil.which("git"):
        return without("no git on PATH")
    if not any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        return without("no git repository")
    try:
        commit = git(root, "rev-parse", "--verify", "HEAD").strip()
    except StorageError as error:
        return without(str(error).partition("\n")[0])
    return HealthCheck("git", True, f"runs will name commit {commit[:12]}")


def check_dvc(root: Path) -> HealthCheck:
    """DVC is installed, and `root` is a folder of its own to it."""
    if not (version := installed_version("dvc")):
        return HealthCheck("dvc", False, "dvc is not installed", "make setup")
    if not (root / ".dvc" / "config").is_file():
        # `dvc init` wants git, and with `--force` it removes the cache. An empty file is all that DVC needs.
        remedy = f"cd {shlex.quote(str(root))} && mkdir -p .dvc && touch .dvc/config"
        return HealthCheck("dvc", False, f"{root} has no .dvc/config", remedy)
    return HealthCheck("dvc", True, f"dvc {version}, initialised")


def check_store(root: Path, uri: str) -> HealthCheck:
    """The MLflow store answers, or can be created."""
    from pipeline.doctor.reachability import probe
    from pipeline.recipe.execution import MLflowSettings
    from pipeline.registry.store import resolve_store

    try:
        resolve_store(root, MLflowSettings(uri=uri))
    except RatchetError as error:
        return HealthCheck(
            "mlflow store", False, str(error), "ratchet run --execution mlflow.uri=sqlite:///registry/mlflow.db"
        )
    problem = probe(root, uri)
    found = without_secrets(uri)
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
