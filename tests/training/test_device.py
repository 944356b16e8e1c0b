"""What a training was computed on, as it is noted beside its checkpoints. TensorFlow's own set-up: tests/system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records.computed_on import ComputedOn
from pipeline.records.training_history import EpochRecord
from pipeline.training import checkpoints
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.device import COMPUTED_ON_FILE, note, noted
from tests.records.examples import COMPUTED_ON

ELSEWHERE = COMPUTED_ON.changed(processor="another")


def finish_an_epoch(work: Path) -> None:
    figures = {"train": {"loss": 0.5}, "validation": {"loss": 0.5}}
    weights = {"kernel": np.ones(2, np.float32)}
    history = (EpochRecord(epoch=1, learning_rate=0.1, **figures),)
    checkpoints.save(work, Checkpoint(history, weights, weights, weights, 4))


def noted_after(work: Path, *machines: ComputedOn) -> tuple[ComputedOn, ...]:
    for machine in machines:
        note(work, machine, 4)
    return noted(work)


def test_where_nothing_has_trained_nothing_is_noted(tmp_path: Path) -> None:
    assert noted(tmp_path) == ()


def test_a_training_that_goes_on_where_it_was_has_one_note(tmp_path: Path) -> None:
    note(tmp_path, COMPUTED_ON, 4)
    finish_an_epoch(tmp_path)
    assert noted_after(tmp_path, COMPUTED_ON) == (COMPUTED_ON,)


def test_a_training_that_goes_on_elsewhere_has_both_in_their_order(tmp_path: Path) -> None:
    note(tmp_path, COMPUTED_ON, 4)
    finish_an_epoch(tmp_path)
    assert noted_after(tmp_path, ELSEWHERE, COMPUTED_ON) == (COMPUTED_ON, ELSEWHERE)


def test_of_a_training_without_a_finished_epoch_nothing_is_left_and_nothing_noted(tmp_path: Path) -> None:
    assert noted_after(tmp_path, COMPUTED_ON, ELSEWHERE) == (ELSEWHERE,)


def test_a_note_that_is_none_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / COMPUTED_ON_FILE).write_text("{}")
    with pytest.raises(DataError, match=r"computed_on\.json: must be a JSON list; remove the folder"):
        noted(tmp_path)
