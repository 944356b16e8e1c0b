"""Values by row: their mean is the metric, and leaving a row out moves the metric by what that row adds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.classification import metrics
from pipeline.evaluation.tasks.classification import CLASS_METRICS, METRICS, MOST_CROSS_ENTROPY
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, task_of
from tests.evaluation.made_answers import make_answers

NAMES = [metric.name for metric in METRICS]
CLASS_NAMES = [metric.name for metric in CLASS_METRICS]
BINS = 10


def task(classes: int) -> Task:
    return task_of(Choice(name="classification", settings={"calibration_bins": BINS}), [*map(str, range(classes))])


@st.composite
def measurable(draw: st.DrawFn) -> tuple[Any, Any]:
    """Labels and probabilities of 2 to 5 classes in which every class has a row; some rows tie."""
    classes = draw(st.integers(2, 5))
    labels = [*range(classes), *draw(st.lists(st.integers(0, classes - 1), max_size=40))]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = draw(st.sampled_from([0.01, 1.0, 30.0])) * generator.normal(size=(len(labels), classes)).round(1)
    scores -= scores.max(axis=1, keepdims=True)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.array(labels), probabilities.astype(np.float32)


@given(measurable())
@settings(max_examples=25)
def test_the_mean_of_the_values_is_the_metric(case):
    labels, probabilities = case
    measured = metrics.measure(labels, probabilities, calibration_bins=BINS)
    for name in NAMES:
        values = task(probabilities.shape[1]).row_values(labels, probabilities).of(name)
        assert values.shape == labels.shape
        assert values.dtype == np.float64
        assert values.mean() == pytest.approx(measured[name], abs=1e-9), name


@given(measurable())
@settings(max_examples=25)
def test_the_auc_is_the_area_under_the_roc_curve(case):
    from sklearn.metrics import roc_auc_score

    labels, probabilities = case
    for number, scores in enumerate(probabilities.T):
        expected = roc_auc_score(labels == number, scores)
        assert metrics.auc(labels == number, scores) == pytest.approx(expected, abs=1e-12)


@given(measurable())
@settings(max_examples=25)
def test_the_mean_of_the_values_of_a_class_is_its_metric(case):
    labels, probabilities = case
    of = task(probabilities.shape[1])
    for value, measured in metrics.measure_classes(labels, probabilities, of.classes).items():
        for name in CLASS_NAMES:
            values = of.row_values(labels, probabilities).of_slice("class", value, name)
            if len(values):
                assert values.mean() == pytest.approx(measured[name], abs=1e-9), (value, name)
            else:
                assert (name, measured[name]) == ("precision", 0)


@given(measurable())
@settings(max_examples=15)
def test_the_values_of_a_share_are_nought_or_one(case):
    labels, probabilities = case
    of = task(probabilities.shape[1])
    for metric in METRICS:
        if metric.is_share:
            assert set(of.row_values(labels, probabilities).of(metric.name)) <= {0.0, 1.0}
    for metric in CLASS_METRICS:
        if metric.is_share:
            assert set(of.row_values(labels, probabilities).of_slice("class", "1", metric.name)) <= {0.0, 1.0}


def test_leaving_a_row_out_moves_a_metric_by_what_the_row_adds():
    """The jackknife: (n − 1) times the fall of the metric without a row is its influence, but for terms of 1/n."""
    made = make_answers(rows=400, seed=3)
    whole = made.task.measure(made.labels, made.probabilities)
    adds = {name: made.task.row_values(made.labels, made.probabilities).of(name) - whole[name] for name in NAMES}
    for row in range(0, 400, 21):
        rest = np.delete(np.arange(400), row)
        without = made.task.measure(made.labels[rest], made.probabilities[rest])
        moved = {name: 399 * (whole[name] - without[name]) for name in NAMES}
        assert moved == pytest.approx({name: adds[name][row] for name in NAMES}, abs=12 / 400), row
    assert all(np.std(adds[name]) > 0.05 for name in NAMES)


def test_leaving_a_row_out_moves_a_metric_of_a_class_by_what_the_row_adds():
    made, bag = make_answers(rows=400, seed=3), 2
    whole = made.task.measure_slices(made.labels, made.probabilities)["class"]["bag"]
    is_true, is_predicted = made.labels == bag, made.probabilities.argmax(axis=1) == bag
    speaks = {"recall": is_true, "precision": is_predicted, "f1": is_true | is_predicted, "auc": np.full(400, True)}
    adds = {
        name: made.task.row_values(made.labels, made.probabilities).of_slice("class", "bag", name) - whole[name]
        for name in CLASS_NAMES
    }
    for row in (
        np.flatnonzero(is_true & is_predicted)[::7].tolist() + np.flatnonzero(is_true ^ is_predicted)[::4].tolist()
    ):
        rest = np.delete(np.arange(400), row)
        without = made.task.measure_slices(made.labels[rest], made.probabilities[rest])["class"]["bag"]
        for name in CLASS_NAMES:
            if speaks[name][row]:
                rows, place = np.count_nonzero(speaks[name]), np.count_nonzero(speaks[name][:row])
                moved = (rows - 1) * (whole[name] - without[name])
                assert moved == pytest.approx(adds[name][place], abs=12 / rows), (name, row)


def test_of_a_class_never_predicted_no_row_speaks_of_its_precision():
    values = (
        task(2).row_values(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])).of_slice("class", "1", "precision")
    )
    assert values.shape == (0,)


def test_answers_that_never_vary_have_no_correlation_at_any_row():
    values = task(2).row_values(np.array([0, 1, 1]), np.array([[0.9, 0.1]] * 3)).of("mcc")
    assert values.tolist() == [0, 0, 0]


def test_no_row_has_a_cross_entropy_beyond_the_most_that_is_declared():
    values = task(2).row_values(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])).of("cross_entropy")
    assert values.max() == pytest.approx(MOST_CROSS_ENTROPY)
    assert values.max() <= MOST_CROSS_ENTROPY == -math.log(1e-7)
