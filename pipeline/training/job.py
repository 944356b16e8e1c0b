"""One training job: its settings, where it keeps its work, and the key under which it is resumed."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.augmentation.changing import copies_by_class
from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import ARCHITECTURE, AugmentParams, TrainParams
from pipeline.recipe.settings import Settings
from pipeline.recipe.slots import Choice, choices
from pipeline.recipe.workers import require_equal_blocks
from pipeline.records.architecture import Architecture, Predicted
from pipeline.records.digests import digest_json
from pipeline.records.manifest import TARGET
from pipeline.storage.manifests import read_manifest
from pipeline.training.batches import read_features
from pipeline.training.target import fit_target

# TensorFlow goes by two names; with GPUs, NVIDIA's libraries do the arithmetic.
_DECIDING_PACKAGES = (
    "tensorflow", "tensorflow-cpu", "keras", "numpy",
    "nvidia-cublas-cu12", "nvidia-cudnn-cu12", "nvidia-nccl-cu12",
)  # fmt: skip


class Job(Settings):
    """What every worker is given, as JSON. Paths are absolute; on several hosts they must lead to the same files."""

    task: Choice
    model: Choice
    train: TrainParams
    augment: AugmentParams
    seed: int
    classes: tuple[str, ...] = Field(strict=False)
    code: dict[str, str] = Field(description="digest of each file of code that decides the result, by path")
    prepared: str = Field(description="folder with train and validation")
    augmented: str = Field(description="folder with the changed copies of the training rows; may be empty")
    work: str = Field(description="folder of the checkpoints of this very job")
    tensorboard: str = Field(description="folder of the TensorBoard logs")
    workers: int = Field(ge=1)
    threads: int = Field(ge=1, description="virtual workers that one worker computes side by side")

    @property
    def training_folders(self) -> tuple[Path, ...]:
        """The data sets that are trained on, in order: the second is empty if an epoch makes its own copies."""
        return Path(self.prepared, "train"), Path(self.augmented)

    @property
    def validation_folder(self) -> Path:
        """The data set that chooses the best epoch."""
        return Path(self.prepared, "validation")


def architecture_of(job: Job) -> Architecture:
    """Return the architecture that a job trains, with the features of its data, fitted."""
    features = read_features([*job.training_folders, job.validation_folder])
    return Architecture(
        name=job.model.name,
        settings=job.model.settings,
        task=job.task.name,
        features=tuple(spec for spec in features if spec.role == "input"),
        classes=job.classes,
        target=None if job.classes else fit_target(job.training_folders[0]),
        predicts=_predicted(job),
    )


def _predicted(job: Job) -> Predicted | None:
    """Return what a number, or a column of a table, means that is predicted; None of classes without a column."""
    column: dict[str, Any] | None = read_manifest(job.training_folders[0], verify=False).counts.get(TARGET)
    if job.classes and column is None:
        return None
    unit = "" if job.classes else job.task.settings.get("unit", "")
    return Predicted.from_json({**(column or {}), "unit": unit}, f"{job.training_folders[0]}: target")


def job_key(job: Job) -> str:
    """Return the key of a job: a digest of everything that decides its result, down to the code and its libraries.

    A checkpoint is resumed only under the same key, so that the result is the same as without an interruption.
    """
    folders = (*job.training_folders, job.validation_folder)
    decides: dict[str, Any] = {
        **job.model_dump(mode="json", include={"task", "model", "train", "augment", "seed", "classes", "code"}),
        "data": [read_manifest(folder, verify=False).digest for folder in folders],
        "packages": versions(),
    }
    return digest_json(decides).removeprefix("sha256:")[:16]


def epoch_rows(job: Job) -> int:
    """Return how many rows an epoch has: those that are written, or the copies that it makes in their place."""
    manifests = [read_manifest(folder, verify=False) for folder in job.training_folders]
    if not job.augment.makes_copies:
        return sum(manifest.rows for manifest in manifests)
    by_class = list(manifests[0].counts["classes"].values()) if job.augment.adds_copies else []
    copies = copies_by_class(job.augment, by_class)
    return manifests[0].rows * job.augment.copies if copies is None else int((copies * by_class).sum())


def checked_job(job: Job) -> Job:
    """Check a job and return it with a checkpoint folder of its own inside `job.work`; raises as `check_job`."""
    check_job(job)
    return job.model_copy(update={"work": str(Path(job.work) / job_key(job))})


def check_job(job: Job) -> None:
    """Refuse a job that cannot be trained, before any work: UsageError for the recipe, DataError for the data."""
    ARCHITECTURE.settings(job.model, "model")
    for chosen in choices(job.train, "train."):
        chosen.settings()
    require_equal_blocks(job.train.virtual_workers, job.workers)
    rows = epoch_rows(job)
    if rows < job.train.batch_size:
        raise UsageError(f"train.batch_size: {job.train.batch_size} is more than the {rows} training rows; use fewer")
    if read_manifest(job.validation_folder, verify=False).rows == 0:
        raise DataError(f"{job.validation_folder}: no rows, so no epoch can be called the best; raise split.validation")


def versions() -> dict[str, str]:
    """Return the version of each installed library that decides a result, by the name of its distribution."""
    found = {name: _version(name) for name in _DECIDING_PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
