"""What a result was made from: code, data, recipe and libraries, each by its digest or its version."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.artifacts import digest_file, read_manifest
from pipeline.errors import RatchetError
from pipeline.evaluation.records import Part
from pipeline.models import stored
from pipeline.params import PARAMS_FILE, parse_yaml

_GIT_TIMEOUT_S = 10.0
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


@dataclass(frozen=True)
class Commit:
    """The commit that the work tree stands on, and whether tracked files differ from it."""

    digest: str
    is_dirty: bool


def candidate_digest(root: Path) -> str | None:
    """Return the digest of the model in `models/candidate`, or None if there is no whole one."""
    try:
        return stored.digest(root / "models" / "candidate")
    except RatchetError:
        return None


def digests(root: Path) -> dict[str, str]:
    """Return what the result hangs on → digest, for whatever is there; a file's bytes or a data set's content."""
    found: dict[str, str] = {}
    if candidate := candidate_digest(root):
        found["candidate (weights and architecture)"] = candidate
    for name, file in {"recipe (params.yaml)": PARAMS_FILE, "graph as run (dvc.lock)": "dvc.lock"}.items():
        if (root / file).is_file():
            found[name] = digest_file(root / file)
    for folder in ("raw", "prepared/train", "prepared/validation", "prepared/test"):
        try:
            found[f"data/{folder}"] = read_manifest(root / "data" / folder, verify=False).digest
        except RatchetError:
            continue  # the section on the data says what is wrong with it
    return found


def git_commit(root: Path) -> Part[Commit]:
    """Ask git where the work tree stands; outside of git, or without it, the part says so."""

    def ask(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", *arguments]
        answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=_GIT_TIMEOUT_S)
        return answer.stdout.strip()

    try:
        return Part(Commit(ask("rev-parse", "HEAD"), bool(ask("status", "--porcelain", "--untracked-files=no"))))
    except FileNotFoundError:
        return Part(None, "git is not installed")
    except subprocess.CalledProcessError:
        return Part(None, "not a git work tree, or one without a commit")
    except subprocess.TimeoutExpired:
        return Part(None, f"git did not answer within {_GIT_TIMEOUT_S:g} s")


def read_recipe(root: Path) -> Part[dict[str, Any]]:
    """Read the recipe as flat keys: `train.epochs` → 8."""
    if not (root / PARAMS_FILE).is_file():
        return Part(None)
    try:
        return Part(flat(parse_yaml(root / PARAMS_FILE)))
    except RatchetError as error:
        return Part(None, str(error).replace(f"{root}/", ""))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as dotted keys, in their order."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide a result, as installed here; absent ones are left out."""
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
