"""The candidate as it is published: the best epoch's weights, the history, and a summary of the training.

`history.csv` has one row per epoch, with the columns of `EpochRecord`; `training.json` says which epoch was best, on
how much data, and what it was computed on. Both are functions of recipe, data and code, and of the kind of machine and
its libraries: no times, no hosts' names.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import Bug
from pipeline.models import stored
from pipeline.records.training_history import HISTORY_FILE, TRAINING_FILE, EpochRecord, Training, history_csv
from pipeline.storage import artifacts
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import write_record
from pipeline.training import checkpoints
from pipeline.training.batches import step_count
from pipeline.training.device import noted
from pipeline.training.job import Job, architecture_of, epoch_rows


def write(folder: Path, job: Job) -> EpochRecord:
    """Write a finished job's candidate into a folder; return the record of its best epoch."""
    checkpoint = checkpoints.newest(Path(job.work), job.train.virtual_workers)
    if checkpoint is None or checkpoint.epochs != job.train.epochs:
        raise Bug(f"{job.work}: the workers ended well without finishing {job.train.epochs} epochs")
    best = checkpoints.best_epoch(checkpoint.history)
    stored.save_weights(folder, architecture_of(job), checkpoint.best)
    artifacts.write_file(folder / HISTORY_FILE, history_csv(checkpoint.history).encode())
    training, augmented, validation = (
        read_manifest(path, verify=False).rows for path in (*job.training_folders, job.validation_folder)
    )
    steps = step_count(epoch_rows(job), job.train.batch_size)
    described = Training(
        best_epoch=best,
        chosen_by="lowest validation loss",
        epochs=checkpoint.epochs,
        steps_per_epoch=steps,
        images_per_epoch=steps * job.train.batch_size,
        rows={"train": training, "augmented": augmented, "validation": validation},
        computed_on=noted(Path(job.work)),
    )
    write_record(folder / TRAINING_FILE, described)
    return checkpoint.history[best - 1]


def forget_work(job: Job) -> None:
    """Remove a published job's checkpoints."""
    shutil.rmtree(job.work, ignore_errors=True)


def in_words(job: Job, best: EpochRecord) -> str:
    """Return a training and its result in words."""
    workers = f"{job.workers} worker{'s' if job.workers > 1 else ''}"
    figures = ", ".join(f"{name} {value:.4f}" for name, value in best.validation.items())
    return f"{job.train.epochs} epochs on {workers}, best is {best.epoch}: validation {figures}"
