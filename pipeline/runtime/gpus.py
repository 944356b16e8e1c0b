"""The GPUs that a training started from here may use, as NVIDIA's driver lists them: found without TensorFlow.

`nvidia-smi` comes with the driver, on a machine and in a container; where it is not on PATH, there is no GPU that
TensorFlow could use.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VISIBLE = "CUDA_VISIBLE_DEVICES"  # the variable that names the GPUs a process may use; empty: none
_QUERY = ("--query-gpu=index,uuid,name,driver_version", "--format=csv,noheader")
_TIMEOUT_S = 30.0  # a driver that keeps no state wakes every GPU first
_UNIQUE = ("GPU-", "MIG-")  # how names begin that are not a position


@dataclass(frozen=True)
class Gpu:
    """One GPU: what CUDA calls it, and what it is."""

    name: str  # as it may stand in CUDA_VISIBLE_DEVICES
    model: str


@dataclass(frozen=True)
class Sight:
    """What was seen: the GPUs, and why training can use none of them (`problem` is "" if it can)."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""

    @property
    def usable(self) -> tuple[Gpu, ...]:
        """The GPUs that training can use."""
        return () if self.problem else self.gpus

    def in_words(self) -> str:
        """Return how many GPUs there are, and of which models: `2 GPUs: 2 × NVIDIA H100, driver 570.86.15`."""
        models = [gpu.model for gpu in self.gpus]
        kinds = ", ".join(f"{models.count(model)} × {model}" for model in dict.fromkeys(models))
        return f"{len(models)} GPU{'s' if len(models) > 1 else ''}: {kinds}" if models else "no GPU"


def look(environment: Mapping[str, str]) -> Sight:
    """Return the GPUs that a process with this environment can use, in the order in which CUDA numbers them there."""
    path = shutil.which("nvidia-smi", path=environment.get("PATH", ""))
    if path is None:
        return Sight(problem="there is no nvidia-smi on PATH, which comes with NVIDIA's driver")
    try:
        asked = subprocess.run(
            [path, *_QUERY], env=dict(environment), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Sight(problem=f"{path} does not answer: {error}")
    if asked.returncode != 0:
        said = " ".join((asked.stdout + asked.stderr).split()) or "it said nothing"
        return Sight(problem=f"{path} ended with {asked.returncode}: {said:.200}")
    return Sight(gpus := _visible(_listed(asked.stdout), environment.get(VISIBLE)), _problem(gpus, environment))


def _listed(text: str) -> dict[str, Gpu]:
    """Return the GPUs of nvidia-smi's table by their position."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return {row[0]: Gpu(row[1], f"{row[2]}, driver {row[3]}") for row in rows if len(row) == len(_QUERY[0].split(","))}


def _visible(listed: Mapping[str, Gpu], selected: str | None) -> tuple[Gpu, ...]:
    """Return those that CUDA_VISIBLE_DEVICES selects, in its order: as CUDA reads it, up to the first that is none."""
    if selected is None:
        return tuple(listed.values())
    visible: list[Gpu] = []
    for entry in selected.split(","):
        found = _selected(listed, entry.strip())
        if found is None or found in visible:  # CUDA takes no GPU twice
            break
        visible.append(found)
    return tuple(visible)


def _selected(listed: Mapping[str, Gpu], entry: str) -> Gpu | None:
    if entry in listed:
        return listed[entry]
    if not entry.startswith(_UNIQUE):
        return None
    if entry.startswith("MIG-"):  # a part of a GPU, which the table does not list
        return Gpu(entry, "part of a GPU")
    named = [gpu for gpu in listed.values() if gpu.name.startswith(entry)]
    return named[0] if len(named) == 1 else None


def _problem(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> str:
    if not gpus and VISIBLE in environment:
        return f"{VISIBLE}={environment[VISIBLE]} shows none of them"
    if not gpus:
        return "nvidia-smi lists none"
    version = _installed("tensorflow-cpu")
    if version is not None:
        return f"tensorflow-cpu {version} is installed, which uses none; requirements/pipeline_gpu.txt has the other"
    return "" if _installed("tensorflow") else "TensorFlow is not installed"


def _installed(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
