"""What a result was made from: code, data, recipe and libraries, each by digest or version."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.errors import RatchetError, StorageError, UsageError
from pipeline.graph import LOCK_FILE
from pipeline.models import stored
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.settings import flatten
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.report.sections import Section
from pipeline.runtime.git import Commit, commit_of
from pipeline.storage.artifacts import digest_file
from pipeline.storage.manifests import read_manifest

_LIBRARIES = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "horovod",
    "pyspark",
    "great-expectations",
    "dvc",
    "mlflow",
    "numpy",
    "pyarrow",
    "scikit-learn",
)


def candidate_digest(root: Path) -> str | None:
    """Return the digest of the model in `models/candidate`, or None if there is no whole one."""
    try:
        return stored.digest(root / "models" / "candidate")
    except RatchetError:
        return None


def digests(root: Path) -> dict[str, str]:
    """Return the digest of each thing that decides the result, if it exists: a file's bytes or a data set's content."""
    found: dict[str, str] = {}
    if candidate := candidate_digest(root):
        found["candidate (weights and architecture)"] = candidate
    for name, file in {"recipe (params.yaml)": PARAMS_FILE, "graph as run (dvc.lock)": LOCK_FILE}.items():
        if (root / file).is_file():
            found[name] = digest_file(root / file)
    for folder in ("raw", "prepared/train", "prepared/validation", "prepared/test"):
        try:
            found[f"data/{folder}"] = read_manifest(root / "data" / folder, verify=False).digest
        except RatchetError:
            continue  # the page's section on the data says what is wrong
    return found


def git_commit(root: Path) -> Section[Commit]:
    """Return the commit that is checked out; outside a repository, or without git, the section says so."""
    try:
        return Section(commit_of(root, ignored=LOCK_FILE))
    except UsageError:
        return Section(None, "git is not installed")
    except StorageError:
        return Section(None, "not a git work tree, or one without a commit")


def read_recipe(root: Path) -> Section[dict[str, Any]]:
    """Read the recipe as flat keys: `train.epochs` → 8."""
    if not (root / PARAMS_FILE).is_file():
        return Section(None)
    try:
        return Section(flatten(parse_yaml(root / PARAMS_FILE)))
    except RatchetError as error:
        return Section(None, str(error).replace(f"{root}/", ""))


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide a result, as installed here; absent ones are left out."""
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
