"""The candidate's metrics measured again, and the metrics' file held against them."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.gate import figures
from pipeline.gate.evidence import Answers, Unknown
from pipeline.gate.figures import measure, metrics_problem
from pipeline.records.metrics import MetricsReport
from tests.gate.given import METRICS, TASK, answers

MEASURED = measure(answers(), answers(range(20)), TASK)


def with_answers(wrong: Any, rows: int) -> Answers:
    """The answers to the first rows."""
    given = answers(wrong)
    return Answers(given.ids[:rows], given.labels[:rows], given.answers[:rows])


def test_every_metric_of_either_part_is_the_task_s_own() -> None:
    for part, given in ((MEASURED.test, answers()), (MEASURED.train, answers(range(20)))):
        own = TASK.measure(given.labels, given.answers)
        assert dict(part) == pytest.approx(own, abs=1e-9)
    assert MEASURED.primary is TASK.metrics[0]


def test_each_part_and_each_slice_has_its_rows() -> None:
    found = measure(with_answers(range(5), 1001), with_answers(range(5), 700), TASK)
    assert (found.test_rows, found.train_rows) == (1001, 700)
    assert found.slice_rows == {"class": {"cat": 501, "dog": 500}}
    assert list(found.slices["class"]) == ["cat", "dog"]
    own = TASK.measure_slices(*_of(with_answers(range(5), 1001)))["class"]
    for name, measured in found.slices["class"].items():
        assert dict(measured) == pytest.approx(own[name])


def _of(given: Answers) -> tuple[Any, Any]:
    return given.labels, given.answers


def test_how_far_the_primary_metric_is_worse_on_the_test_part_is_the_overfit() -> None:
    assert MEASURED.overfit == pytest.approx(0.99 - 0.95)
    lower = next(metric for metric in TASK.metrics if metric.name == "cross_entropy")
    turned = figures.Figures(**{**vars(MEASURED), "primary": lower})
    assert turned.overfit == pytest.approx(MEASURED.test["cross_entropy"] - MEASURED.train["cross_entropy"])
    assert turned.overfit > 0


def said(**changes: Any) -> str | None:
    return metrics_problem(METRICS.changed(**changes), MEASURED, TASK)


def test_metrics_of_these_predictions_have_no_problem() -> None:
    assert said() is None


def test_each_problem_of_the_metrics_is_named() -> None:
    assert metrics_problem(Unknown("they are gone"), MEASURED, TASK) == "the metrics are not known: they are gone"
    assert said(task="ranking") == "the metrics are those of another task: ranking"
    assert said(task="x" * 200) == f"the metrics are those of another task: {'x' * 120}"
    assert said(slices={"class": {"cat": METRICS.slices["class"]["cat"]}}) == "the metrics are those of other slices"
    assert said(overfit=0.05) == "the metrics' overfit is not that of the predictions: 0.04"
    assert (
        said(test={**METRICS.test, "rows": 7.0})
        == "the metrics of part test are of 7.0 rows, the predictions have 2000"
    )
    assert said(train={**METRICS.train, "accuracy": 0.5}) == (
        "the metrics' accuracy (training) is not that of the predictions: 0.99"
    )
    few = {name: value for name, value in METRICS.train.items() if name != "auc"}
    test = {name: value for name, value in METRICS.test.items() if name != "auc"}
    assert said(train=few, test=test) == "the metrics of part test are not those that the task declares"


def of_class(name: str, **figures_of: float) -> dict[str, Any]:
    by_class = METRICS.slices["class"]
    return {"class": {**by_class, name: {**by_class[name], **figures_of}}}


def test_each_problem_of_a_slice_is_named() -> None:
    assert said(slices=of_class("cat", f1=0.5)) == "the metrics' F1 (class cat) is not that of the predictions: 0.95"
    assert said(slices=of_class("dog", rows=3.0)) == (
        "the metrics of part class dog are of 3.0 rows, the predictions have 1000"
    )


@pytest.mark.parametrize(("off", "is_same"), [(1e-11, True), (1e-8, False), (-1e-8, False)])
def test_figures_may_differ_by_what_rounding_takes(off: float, is_same: bool) -> None:
    report: MetricsReport = METRICS.changed(test={**METRICS.test, "accuracy": METRICS.test["accuracy"] + off})
    assert (metrics_problem(report, MEASURED, TASK) is None) is is_same
    small = METRICS.changed(overfit=METRICS.overfit + off)
    assert (metrics_problem(small, MEASURED, TASK) is None) is is_same


@pytest.mark.parametrize(
    ("reported", "actual", "is_same"), [(0.0, 1e-10, True), (0.0, 1e-8, False), (1e9, 1e9 + 0.1, True)]
)
def test_figures_are_the_same_up_to_the_last_bits_that_machines_differ_in(
    reported: float, actual: float, is_same: bool
) -> None:
    assert figures._is_same(reported, actual) is is_same
