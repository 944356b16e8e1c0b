from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.evaluation.classification import metrics
from pipeline.evaluation.tasks.classification import CLASS_METRICS, METRICS

BINS = 10


@st.composite
def measurable(draw: st.DrawFn) -> tuple[Any, Any]:
    """Labels and probabilities of 2 to 5 classes in which every class has a row."""
    classes = draw(st.integers(2, 5))
    labels = [*range(classes), *draw(st.lists(st.integers(0, classes - 1), max_size=40))]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.01, 1.0, 30.0]))
    scores = sharpness * generator.normal(size=(len(labels), classes))
    scores -= scores.max(axis=1, keepdims=True)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.array(labels), probabilities.astype(np.float32)


def one_hot(answers: list[int], classes: int) -> Any:
    return np.eye(classes, dtype=np.float32)[answers]


@given(measurable())
@settings(max_examples=30)
def test_every_figure_is_finite_and_within_its_range(case: tuple[Any, Any]) -> None:
    figures = metrics.measure(*case, calibration_bins=BINS)

    assert list(figures) == [metric.name for metric in METRICS]
    assert figures["cross_entropy"] <= -math.log(1e-7) + 1e-9
    for metric in METRICS:
        assert metric.low <= figures[metric.name] <= metric.high + 1e-12, metric.name


@given(measurable())
@settings(max_examples=15)
def test_every_figure_of_a_class_is_finite_and_within_its_range(case: tuple[Any, Any]) -> None:
    names = [f"class {number}" for number in range(case[1].shape[1])]
    found = metrics.measure_classes(*case, names)

    assert list(found) == names
    for figures in found.values():
        assert figures.keys() == {metric.name for metric in CLASS_METRICS}
        assert all(metric.low <= figures[metric.name] <= metric.high + 1e-12 for metric in CLASS_METRICS)


@given(measurable())
@settings(max_examples=15)
def test_the_share_of_right_rows_is_the_accuracy_and_within_a_class_its_recall(case: tuple[Any, Any]) -> None:
    right = metrics.is_right(*case)
    by_class = metrics.measure_classes(*case, [str(number) for number in range(case[1].shape[1])])

    assert right.dtype == np.float64
    assert right.mean() == pytest.approx(metrics.measure(*case, calibration_bins=BINS)["accuracy"], rel=1e-12)
    for number, figures in enumerate(by_class.values()):
        assert right[case[0] == number].mean() == pytest.approx(figures["recall"], rel=1e-12)


@given(measurable(), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_figures_do_not_depend_on_the_order_of_rows(case: tuple[Any, Any], random: Any) -> None:
    labels, probabilities = case
    order = list(range(len(labels)))
    random.shuffle(order)

    before = metrics.measure(labels, probabilities, calibration_bins=BINS)
    after = metrics.measure(labels[order], probabilities[order], calibration_bins=BINS)

    assert after == pytest.approx(before, abs=1e-9)


@given(measurable(), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_figures_do_not_depend_on_how_classes_are_numbered(case: tuple[Any, Any], random: Any) -> None:
    labels, probabilities = case
    answers = np.sort(probabilities, axis=1)
    probabilities = probabilities[answers[:, -1] > answers[:, -2]]  # where two classes tie, the lower number wins
    labels = labels[answers[:, -1] > answers[:, -2]]
    assume(len(np.unique(labels)) == probabilities.shape[1])
    new = list(range(probabilities.shape[1]))
    random.shuffle(new)
    renumbered = np.empty_like(probabilities)
    renumbered[:, new] = probabilities

    before = metrics.measure(labels, probabilities, calibration_bins=BINS)
    after = metrics.measure(np.array(new)[labels], renumbered, calibration_bins=BINS)

    assert after == pytest.approx(before, abs=1e-6)


@given(measurable())
@settings(max_examples=15)
def test_the_confusion_matrix_holds_every_row_once(case: tuple[Any, Any]) -> None:
    labels, probabilities = case
    matrix = metrics.confusion_matrix(labels, probabilities)

    assert matrix.sum(axis=1).tolist() == np.bincount(labels, minlength=len(matrix)).tolist()
    assert matrix.trace() == (probabilities.argmax(axis=1) == labels).sum()


def test_a_perfect_and_sure_model_has_perfect_figures() -> None:
    figures = metrics.measure(np.array([0, 1, 2, 1]), one_hot([0, 1, 2, 1], 3), calibration_bins=BINS)

    assert figures == pytest.approx(
        {
            "accuracy": 1,
            "macro_precision": 1,
            "macro_recall": 1,
            "macro_f1": 1,
            "auc": 1,
            "mcc": 1,
            "cross_entropy": 0,
            "calibration_error": 0,
        }
    )


def test_figures_worked_out_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.55, 0.45]])

    figures = metrics.measure(labels, probabilities, calibration_bins=2)
    classes = metrics.measure_classes(labels, probabilities, ["a", "b"])

    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert classes["a"]["precision"] == pytest.approx(2 / 3)
    assert classes["a"]["recall"] == pytest.approx(2 / 3)
    assert classes["b"]["f1"] == pytest.approx(1 / 2)
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figures["auc"] == pytest.approx(5 / 6)  # of the 3 × 2 pairs, only (row 3, row 5) is ranked wrongly
    assert figures["mcc"] == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    assert figures["cross_entropy"] == pytest.approx(-math.log(0.9 * 0.8 * 0.4 * 0.7 * 0.45) / 5)
    # All five confidences lie in the upper bin: |mean accuracy − mean confidence|.
    assert figures["calibration_error"] == pytest.approx(abs(3 / 5 - (0.9 + 0.8 + 0.6 + 0.7 + 0.55) / 5))


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower_one() -> None:
    _, _, bin_of = metrics.calibration_bins(np.array([0, 0, 0]), np.array([[0.5, 0.5], [0.75, 0.25], [1, 0]]), bins=4)

    assert bin_of.tolist() == [1, 2, 3]


def test_a_confidence_that_rounding_left_above_one_belongs_to_the_last_bin_and_none_below_the_first() -> None:
    _, _, bin_of = metrics.calibration_bins(np.array([0, 0]), np.array([[1.0005, 0.0], [0.0, 0.0]]), bins=4)

    assert bin_of.tolist() == [3, 0]


@pytest.mark.parametrize(("total", "is_refused"), [(1.0009, False), (0.9991, False), (1.0011, True), (0.9989, True)])
def test_a_row_may_sum_to_one_within_a_thousandth(total: float, is_refused: bool) -> None:
    def check() -> None:
        metrics.check_answers(np.array([0, 1]), np.array([[total, 0.0], [0.0, 1.0]]), ["a", "b"])

    if is_refused:
        with pytest.raises(DataError, match="row 0 is no probability distribution"):
            check()
    else:
        check()


def test_answers_of_another_number_of_rows_or_classes_are_refused_with_both_shapes() -> None:
    with pytest.raises(DataError, match=r"answers with shape \[1, 2\], expected \[2, 2\]"):
        metrics.check_answers(np.array([0, 1]), np.array([[1.0, 0.0]]), ["a", "b"])
    with pytest.raises(DataError, match=r"label 2 is none of the 2 classes"):
        metrics.check_answers(np.array([2, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]), ["a", "b"])


def test_the_metrics_of_each_class_are_its_own() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    probabilities = one_hot([0, 1, 1, 1, 0], 3)
    found = metrics.measure_classes(labels, probabilities, ["a", "b", "c"])

    assert found["a"] == pytest.approx({"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "auc": 7 / 12})
    assert found["b"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 4 / 5, "auc": 5 / 6})
    assert found["c"] == pytest.approx({"precision": 0, "recall": 0, "f1": 0, "auc": 1 / 2})


def test_calibration_error_weighs_bins_by_their_rows() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.6, 0.4]])

    assert metrics.calibration_error(labels, probabilities, bins=10) == pytest.approx(0.6 / 4)


def test_what_one_bin_is_too_sure_of_does_not_make_up_for_another_that_is_not_sure_enough() -> None:
    labels = np.array([0, 1, 0, 0])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])  # half right, and always right

    assert metrics.calibration_error(labels, probabilities, bins=10) == pytest.approx(0.4)


def test_a_class_that_is_never_predicted_has_precision_and_f1_of_zero() -> None:
    classes = metrics.measure_classes(np.array([0, 1, 2]), one_hot([0, 1, 1], 3), ["a", "b", "c"])

    assert (classes["c"]["precision"], classes["c"]["recall"], classes["c"]["f1"]) == (0, 0, 0)


def test_answers_that_never_vary_have_no_correlation_with_the_truth() -> None:
    figures = metrics.measure(np.array([0, 1, 2]), one_hot([1, 1, 1], 3), calibration_bins=BINS)

    assert figures["mcc"] == 0
    assert figures["auc"] == 0.5


def test_a_certain_mistake_costs_a_finite_amount() -> None:
    assert metrics.cross_entropy(np.array([0]), one_hot([1], 2)) == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize(
    ("labels", "probabilities", "named"),
    [
        ([0, 0], [[0.5, 0.5], [1, 0]], "class 'b' has no rows"),
        ([0, 2], [[0.5, 0.5], [1, 0]], "label 2 is none of the 2 classes"),
        ([0, -1], [[0.5, 0.5], [1, 0]], "label -1"),
        ([0, 1], [[0.5, 0.5], [math.nan, 1]], "row 1 is no probability distribution"),
        ([0, 1], [[math.inf, 0], [0, 1]], "row 0 is no probability distribution"),
        ([0, 1], [[1.5, -0.5], [0, 1]], "row 0 is no probability distribution"),
        ([0, 1], [[0.2, 0.2], [0, 1]], r"row 0 .*sum 0\.4"),
        ([0, 1], [[1.0], [1.0]], r"shape \[2, 1\], expected \[2, 2\]"),
        ([], np.empty((0, 2)), "class 'a' has no rows"),
    ],
)
def test_answers_that_cannot_be_measured_are_refused_in_one_line(labels: Any, probabilities: Any, named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        metrics.check_answers(np.array(labels, int), np.array(probabilities, np.float32), ["a", "b"])

    assert "\n" not in str(caught.value)
