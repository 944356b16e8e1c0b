"""The figures that thresholds are set on."""

from __future__ import annotations

import pytest

from pipeline.errors import DataError
from pipeline.recipe.recipe import Maximum, Minimum
from pipeline.records.metrics import Metrics, MetricsReport
from tests.records.examples import METRICS, example


@pytest.fixture
def report() -> MetricsReport:
    found = example(MetricsReport)
    assert isinstance(found, MetricsReport)
    return found.changed(train=METRICS.changed(accuracy=1.0))


def test_the_figures_are_those_of_the_test_part(report: MetricsReport) -> None:
    assert report.test_figures["accuracy"] == report.test.accuracy


def test_the_figures_hold_how_far_training_and_test_are_apart(report: MetricsReport) -> None:
    assert report.test_figures["overfit"] == report.overfit


@pytest.mark.parametrize("name", [*Minimum.model_fields, *Maximum.model_fields])
def test_whatever_a_recipe_sets_a_threshold_on_is_a_figure(report: MetricsReport, name: str) -> None:
    assert name in report.test_figures


@pytest.mark.parametrize("name", Metrics.model_fields)
def test_a_figure_that_is_missing_is_refused_by_its_name(report: MetricsReport, name: str) -> None:
    value = report.to_json()
    del value["test"][name]
    with pytest.raises(DataError, match=rf"x\.json: test\.{name}: Field required; make it again"):
        MetricsReport.from_json(value, "x.json")


def test_a_figure_that_is_nan_is_refused_by_its_name(report: MetricsReport) -> None:
    value = report.to_json()
    value["classes"]["zero"]["recall"] = float("nan")
    with pytest.raises(DataError, match=r"x\.json: classes\.zero\.recall: Input should be a finite number"):
        MetricsReport.from_json(value, "x.json")
