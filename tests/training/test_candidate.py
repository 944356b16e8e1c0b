from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import Bug
from pipeline.models import stored
from pipeline.records.training_history import HISTORY_FILE, TRAINING_FILE, EpochRecord, Training, parse_history
from pipeline.storage.record_files import read_record
from pipeline.training import candidate, checkpoints, device
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.job import Job
from tests.records.examples import COMPUTED_ON

LAST = {"dense/kernel": np.zeros((2, 2), np.float32)}
BEST = {"dense/kernel": np.ones((2, 2), np.float32)}


def epoch(number: int, rate: float, *figures: float) -> EpochRecord:
    train, validation = (dict(zip(("loss", "accuracy"), part, strict=True)) for part in (figures[:2], figures[2:]))
    return EpochRecord(epoch=number, learning_rate=rate, train=train, validation=validation)


@pytest.fixture
def finished(job: Job) -> Job:
    history = (epoch(1, 0.01, 1.0, 0.5, 0.25, 0.9), epoch(2, 1e-9, 0.5, 0.75, 0.5, 1 / 3))
    checkpoints.save(Path(job.work), Checkpoint(history, LAST, BEST, {"0000/iteration": np.asarray(14)}, 4))
    return job


def test_the_best_epochs_weights_are_published(finished: Job, tmp_path: Path) -> None:
    best = candidate.write(tmp_path / "candidate", finished)
    assert best.epoch == 1
    assert np.array_equal(stored.read_weights(tmp_path / "candidate")["dense/kernel"], BEST["dense/kernel"])


def test_the_history_is_stable_text(finished: Job, tmp_path: Path) -> None:
    candidate.write(tmp_path / "candidate", finished)
    assert (tmp_path / "candidate/history.csv").read_text() == (
        "epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy\n"
        "1,0.01,1,0.5,0.25,0.9\n"
        "2,1e-09,0.5,0.75,0.5,0.33333333\n"
    )


def test_what_the_training_was_is_written_beside_it(finished: Job, tmp_path: Path) -> None:
    device.note(Path(finished.work), COMPUTED_ON, finished.train.virtual_workers)
    candidate.write(tmp_path / "candidate", finished)
    assert json.loads((tmp_path / "candidate/training.json").read_text()) == {
        "record_version": 2,
        "best_epoch": 1,
        "chosen_by": "lowest validation loss",
        "epochs": 2,
        "steps_per_epoch": 7,
        "images_per_epoch": 56,
        "rows": {"train": 40, "augmented": 20, "validation": 10},
        "computed_on": [COMPUTED_ON.to_json()],
    }


def test_history_and_training_are_read_as_the_records_they_were(finished: Job, tmp_path: Path) -> None:
    best = candidate.write(tmp_path / "candidate", finished)
    path = tmp_path / "candidate" / HISTORY_FILE
    first, second = parse_history(path.read_text(), str(path))
    assert first == best
    assert second.validation["accuracy"] == pytest.approx(1 / 3, rel=1e-8)
    assert read_record(tmp_path / "candidate" / TRAINING_FILE, Training).best_epoch == 1


def test_the_best_epoch_is_told_by_its_figures_whatever_they_are(finished: Job, tmp_path: Path) -> None:
    best = candidate.write(tmp_path / "candidate", finished)
    told = "2 epochs on 2 workers, best is 1: validation loss 0.2500, accuracy 0.9000"
    assert candidate.in_words(finished, best) == told


def test_an_unfinished_training_is_not_published(finished: Job, tmp_path: Path) -> None:
    longer = finished.model_copy(update={"train": finished.train.model_copy(update={"epochs": 3})})
    with pytest.raises(Bug, match="without finishing 3 epochs"):
        candidate.write(tmp_path / "candidate", longer)
