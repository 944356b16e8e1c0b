from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from pipeline.evaluation.classification import curves


def test_roc_rises_to_the_corner_and_encloses_the_area_under_the_curve(answers: Any) -> None:
    found = curves.roc(answers.labels, answers.probabilities)

    assert (np.diff(found.y, axis=1) >= 0).all()
    assert (found.y[:, -1] == 1).all()
    for number, curve in enumerate(found.y):
        area = roc_auc_score(answers.labels == number, answers.probabilities[:, number])
        assert np.trapezoid(curve, found.x) == pytest.approx(area, abs=0.02)


def test_every_point_of_roc_was_reached_by_a_threshold() -> None:
    labels, scores = np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.3])
    found = curves.roc(labels, np.stack([1 - scores, scores], axis=1))
    positives = found.y[1]

    assert set(np.round(positives, 6)) <= {0, round(1 / 3, 6), round(2 / 3, 6), 1}
    assert positives[0] == pytest.approx(2 / 3)  # 0.8 and 0.4 lie above both negatives
    assert positives[np.searchsorted(found.x, 0.49)] == pytest.approx(2 / 3)
    assert positives[np.searchsorted(found.x, 0.51)] == 1


def test_precision_recall_ends_at_the_share_of_the_class_or_above(answers: Any) -> None:
    found = curves.precision_recall(answers.labels, answers.probabilities)
    shares = np.bincount(answers.labels) / len(answers.labels)

    assert (found.y[:, -1] >= shares - 1e-12).all()
    for number, curve in enumerate(found.y):
        area = average_precision_score(answers.labels == number, answers.probabilities[:, number])
        assert np.trapezoid(curve, found.x) == pytest.approx(area, abs=0.02)


def test_precision_at_recall_worked_out_by_hand() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    found = curves.precision_recall(labels, np.stack([1 - scores, scores], axis=1))

    assert found.y[1][0] == 1
    assert found.y[1][np.searchsorted(found.x, 0.5)] == 1
    assert found.y[1][np.searchsorted(found.x, 0.51)] == pytest.approx(2 / 3)


def test_macro_is_the_mean_of_the_classes(answers: Any) -> None:
    found = curves.roc(answers.labels, answers.probabilities)

    np.testing.assert_array_equal(found.macro, found.y.mean(axis=0))


def test_calibration_leaves_empty_bins_out_and_keeps_every_row() -> None:
    labels = np.array([0, 0, 1])
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.45, 0.55]])

    found = curves.calibration(labels, probabilities, bins=10)

    assert found.rows.tolist() == [1, 2]
    assert found.confidence.tolist() == pytest.approx([0.55, 0.93])
    assert found.accuracy.tolist() == [1, 1]
