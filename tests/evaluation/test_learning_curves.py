"""How a training went, whatever its task measures."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest

from pipeline.evaluation import learning_curves
from pipeline.records.training_history import EpochRecord
from tests.evaluation.made_answers import HISTORY


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def texts_of(drawn: bytes) -> str:
    return " ".join(ElementTree.fromstring(drawn).itertext())


def test_dvc_draws_the_tasks_figure_of_the_validation_part_when_no_column_is_asked_for() -> None:
    rows = rows_of(learning_curves.table(HISTORY))

    assert list(rows[0])[-1] == "validation_accuracy"
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 9)]


@pytest.mark.parametrize("names", [["loss"], ["loss", "mean_error"], ["loss", "a", "b", "c", "d"]])
def test_every_figure_has_a_picture(names: list[str]) -> None:
    history = tuple(
        EpochRecord(
            epoch=epoch,
            learning_rate=0.1,
            train=dict.fromkeys(names, 1 / epoch),
            validation=dict.fromkeys(names, 2 / epoch),
        )
        for epoch in range(1, 4)
    )

    texts = texts_of(learning_curves.drawing(history))

    assert all(name.replace("_", " ") in texts for name in names)
    assert texts.count("validation") == len(names)


def test_a_figure_of_the_training_part_alone_is_drawn_alone() -> None:
    history = (
        EpochRecord(epoch=1, learning_rate=0.1, train={"loss": 1.0, "penalty": 0.1}, validation={"loss": 1.0}),
        EpochRecord(epoch=2, learning_rate=0.1, train={"loss": 0.9, "penalty": 0.2}, validation={"loss": 1.1}),
    )

    texts = texts_of(learning_curves.drawing(history))

    assert "penalty" in texts
    assert (texts.count("train"), texts.count("validation")) == (2, 1)
