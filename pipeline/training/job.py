"""One training job: its settings, where it keeps its work, and the key under which it is resumed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

import pipeline
from pipeline.errors import DataError, UsageError
from pipeline.models.lookup import checked_settings
from pipeline.recipe.recipe import ModelParams, TrainParams
from pipeline.recipe.settings import Settings
from pipeline.records.architecture import Architecture
from pipeline.records.digests import digest_json
from pipeline.records.statistics import STATISTICS_FILE, ChannelStatistics
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import read_record

_DECIDING_CODE = (
    "training",
    "models/build.py",
    "models/layers.py",
    "models/lookup.py",
    "models/stored.py",
    "storage",
    "records",
)
_DECIDING_PACKAGES = ("tensorflow-cpu", "keras", "numpy", "horovod")


class Job(Settings):
    """What every worker is given, as JSON. Paths are absolute; on several hosts they must lead to the same files."""

    model: ModelParams
    train: TrainParams
    seed: int
    classes: tuple[str, ...] = Field(strict=False)
    prepared: str = Field(description="folder with train, validation and statistics.json")
    augmented: str = Field(description="folder with the changed copies of the training images; may be empty")
    work: str = Field(description="folder of the checkpoints of this very job")
    tensorboard: str = Field(description="folder of the TensorBoard logs")
    workers: int = Field(ge=1)
    threads: int = Field(ge=1, description="TensorFlow threads of one worker")

    @property
    def training_folders(self) -> tuple[Path, ...]:
        """The data sets that are trained on, in order."""
        return Path(self.prepared, "train"), Path(self.augmented)

    @property
    def validation_folder(self) -> Path:
        """The data set that chooses the best epoch."""
        return Path(self.prepared, "validation")


def read_statistics(prepared: Path) -> dict[str, tuple[float, ...]]:
    """Read mean and standard deviation by channel, in grey levels of 0 to 255; raises as `read_record`."""
    statistics = read_record(prepared / STATISTICS_FILE, ChannelStatistics)
    return {"mean": statistics.mean, "std": statistics.std}


def architecture_of(job: Job) -> Architecture:
    """Return the architecture that a job trains, with the shape and the statistics of its data."""
    shape = shards.image_shape(read_manifest(job.training_folders[0], verify=False))
    return Architecture(
        name=job.model.name,
        settings=job.model.settings,
        input_shape=shape,
        classes=job.classes,
        statistics=read_statistics(Path(job.prepared)),
    )


def job_key(job: Job) -> str:
    """Return the key of a job: a digest of everything that decides its result, down to the code and its libraries.

    A checkpoint is resumed only under the same key, so that the result is the same as without an interruption.
    """
    folders = (*job.training_folders, job.validation_folder)
    decides: dict[str, Any] = {
        "model": job.model.model_dump(mode="json"),
        "train": job.train.model_dump(mode="json"),
        "seed": job.seed,
        "classes": list(job.classes),
        "data": [read_manifest(folder, verify=False).digest for folder in folders],
        "statistics": read_statistics(Path(job.prepared)),
        "workers": [job.workers, job.threads],  # rounding depends on them
        "code": _code_digests(job.model.name),
        "packages": _versions(),
    }
    return digest_json(decides).removeprefix("sha256:")[:16]


def checked_job(job: Job) -> Job:
    """Check a job and return it with a checkpoint folder of its own inside `job.work`; raises as `check_job`."""
    check_job(job)
    return job.model_copy(update={"work": str(Path(job.work) / job_key(job))})


def check_job(job: Job) -> None:
    """Refuse a job that cannot be trained, before any work: UsageError for the recipe, DataError for the data."""
    checked_settings(job.model.name, job.model.settings)
    if job.train.batch_size % job.workers:
        fits = max(job.workers, job.train.batch_size - job.train.batch_size % job.workers)
        raise UsageError(
            f"train.batch_size: {job.train.batch_size} images cannot be shared equally by {job.workers} workers; "
            f"use {fits}, or another horovod.workers"
        )
    rows = sum(read_manifest(folder, verify=False).rows for folder in job.training_folders)
    if rows < job.train.batch_size:
        raise UsageError(f"train.batch_size: {job.train.batch_size} is more than the {rows} training images; use fewer")
    if read_manifest(job.validation_folder, verify=False).rows == 0:
        raise DataError(f"{job.validation_folder}: no rows, so no epoch can be called the best; raise split.validation")


def _code_digests(architecture: str) -> Mapping[str, str]:
    package = Path(pipeline.__file__).parent
    paths = [package / name for name in (*_DECIDING_CODE, f"models/architectures/{architecture}.py")]
    files = sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
    return {file.relative_to(package).as_posix(): artifacts.digest_file(file) for file in files}


def _versions() -> Mapping[str, str]:
    installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    return {name: installed.get(name, "absent") for name in _DECIDING_PACKAGES}
