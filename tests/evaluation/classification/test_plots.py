from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from pipeline.evaluation import learning_curves
from pipeline.evaluation.classification import curves, metrics, plots
from tests.evaluation.made_answers import HISTORY

DRAWN: dict[str, Callable[[Any], bytes]] = {
    "learning_curves": lambda _: learning_curves.drawing(HISTORY),
    "one epoch": lambda _: learning_curves.drawing(HISTORY[:1]),
    "confusion": lambda a: plots.confusion(metrics.confusion_matrix(a.labels, a.probabilities), a.classes),
    "roc": lambda a: plots.roc(curves.roc(a.labels, a.probabilities), a.classes),
    "precision_recall": lambda a: plots.precision_recall(curves.precision_recall(a.labels, a.probabilities), a.classes),
    "calibration": lambda a: plots.calibration(curves.calibration(a.labels, a.probabilities, bins=15)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", DRAWN)
def test_the_same_figures_are_drawn_in_the_same_bytes_whatever_the_users_settings(name: str, answers: Any) -> None:
    first = DRAWN[name](answers)
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "svg.hashsalt": "mine", "figure.facecolor": "pink"}):
        second = DRAWN[name](answers)

    assert first == second
    assert not re.search(rb"<dc:date>|20\d\d-\d\d-\d\d", first)


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_takes_the_colour_of_the_text_around_it(name: str, answers: Any) -> None:
    drawn = DRAWN[name](answers)

    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"currentColor" in drawn
    assert not re.search(rb"#000000|#ffffff|#010203", drawn)


def test_class_names_are_drawn_as_they_are_and_escaped() -> None:
    names = ["$\\frac", "<b>&", "_hidden", "a very long name of a class"]
    labels = np.arange(40) % 4
    probabilities = np.full((40, 4), 0.25)

    drawn = plots.roc(curves.roc(labels, probabilities), names).decode()
    texts = "".join(ElementTree.fromstring(drawn).itertext())

    assert "class $\\frac" in texts
    assert "class <b>&" in texts
    assert "class _hidden" in texts
    matrix = plots.confusion(metrics.confusion_matrix(labels, probabilities), names)
    assert "a very long nam…" in matrix.decode()


@pytest.mark.long
def test_of_many_classes_the_ones_with_the_lowest_recall_are_drawn() -> None:
    matrix = np.full((40, 40), 1, np.int64) + 60 * np.diag(np.arange(40) >= 24).astype(np.int64)

    drawn = plots.confusion(matrix, [f"name{number:02}" for number in range(40)]).decode()

    assert "name23" in drawn
    assert "name24" not in drawn
    assert "the 24 worst" in drawn
