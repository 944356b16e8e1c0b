"""What is shown of a candidate: a table and a drawing of each, under one name."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.evaluation import curves, metrics
from pipeline.evaluation.findings import Findings, find
from tests.evaluation.made_answers import HISTORY, MadeAnswers

NAMES = ["calibration", "confusion", "learning_curves", "precision_recall", "roc"]


@pytest.fixture(scope="module")
def findings(answers: MadeAnswers) -> Findings:
    return find(HISTORY, answers.predictions, answers.classes, calibration_bins=15)


def test_everything_shown_is_a_table_for_dvc_and_a_drawing_for_the_page(findings: Findings) -> None:
    assert sorted(findings.tables()) == [f"{name}.csv" for name in NAMES]
    assert sorted(findings.drawings()) == [f"{name}.svg" for name in NAMES]


def test_each_drawing_is_a_picture_of_its_own(findings: Findings) -> None:
    drawings = findings.drawings()

    assert {ElementTree.fromstring(drawn).tag for drawn in drawings.values()} == {"{http://www.w3.org/2000/svg}svg"}
    assert len(set(drawings.values())) == len(NAMES)


def test_the_curves_are_read_from_the_answers_to_the_test_part(findings: Findings, answers: MadeAnswers) -> None:
    expected = curves.roc(answers.labels, answers.probabilities)

    np.testing.assert_array_equal(findings.roc.y, expected.y)
    assert findings.calibration.rows.sum() == len(answers.labels)


def test_the_bins_of_the_calibration_are_those_that_are_asked_for(answers: MadeAnswers) -> None:
    few = find(HISTORY, answers.predictions, answers.classes, calibration_bins=2).calibration
    _, _, bin_of = metrics.calibration_bins(answers.labels, answers.probabilities, bins=2)

    assert few.rows.tolist() == [rows for rows in np.bincount(bin_of, minlength=2).tolist() if rows]
