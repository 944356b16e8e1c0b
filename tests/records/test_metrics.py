"""The figures of a task, whatever it measures; those of an earlier Ratchet among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.records.metrics import MetricsReport
from pipeline.storage.record_files import read_record
from tests.records.examples import METRICS, example

WRITTEN_BEFORE = Path(__file__).parent / "written_before" / "reports" / "metrics.json"


@pytest.fixture
def report() -> MetricsReport:
    found = example(MetricsReport)
    assert isinstance(found, MetricsReport)
    return found.changed(train={**METRICS, "accuracy": 1.0})


@pytest.fixture
def value(report: MetricsReport) -> Any:
    return json.loads(json.dumps(report.to_json()))


def test_the_figures_are_those_of_the_test_part(report: MetricsReport) -> None:
    assert report.test_figures == {**report.test, "overfit": report.overfit}


def test_the_primary_figure_is_the_first_of_them(report: MetricsReport) -> None:
    assert next(iter(report.test_figures)) == "accuracy"
    assert report.primary_figure == report.test["accuracy"]


@pytest.mark.parametrize("name", METRICS)
def test_a_figure_that_one_part_lacks_is_refused_by_its_name(value: Any, name: str) -> None:
    del value["test"][name]
    with pytest.raises(DataError, match=rf"x\.json: test\.{name}: is missing; make it again"):
        MetricsReport.from_json(value, "x.json")


@pytest.mark.parametrize("name", ["rows", "accuracy"])
def test_the_rows_and_the_primary_figure_are_refused_where_both_parts_lack_them(value: Any, name: str) -> None:
    del value["test"][name], value["train"][name]
    with pytest.raises(DataError, match=rf"x\.json: test\.{name}: is missing; make it again"):
        MetricsReport.from_json(value, "x.json")


@pytest.mark.parametrize("figure", [float("nan"), 10**400, "0.5", True, None])
def test_what_is_no_finite_number_is_refused_by_its_name(value: Any, figure: object) -> None:
    value["slices"]["class"]["zero"]["recall"] = figure
    with pytest.raises(DataError, match=r"x\.json: slices\.class\.zero\.recall: "):
        MetricsReport.from_json(value, "x.json")


def test_any_task_has_figures_by_its_own_names() -> None:
    part = {"rows": 3, "mean_error": 2.5}
    report = MetricsReport(task="closeness", primary="mean_error", test=part, train=part, overfit=0.0, slices={})

    assert MetricsReport.from_json(json.loads(json.dumps(report.to_json())), "x.json") == report


def test_metrics_of_version_1_are_those_of_classification() -> None:
    written = json.loads(WRITTEN_BEFORE.read_text())
    report = read_record(WRITTEN_BEFORE, MetricsReport)

    assert (report.task, report.primary) == ("classification", "accuracy")
    assert (report.test, report.train, report.overfit) == (written["test"], written["train"], written["overfit"])
    assert report.slices == {"class": written["classes"]}
    assert list(report.slices["class"]) == list(written["classes"])


def test_metrics_of_version_2_know_no_near_duplicates(value: Any) -> None:
    del value["without_near_duplicates"]
    report = MetricsReport.from_json({**value, "record_version": 2}, "x.json")
    assert report.without_near_duplicates is None


@pytest.mark.parametrize("change", [{"classes": None}, {"classes": {"a": 3}}, {"test": None}, {"luck": 1}])
def test_damaged_metrics_of_version_1_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^x\.json: "):
        MetricsReport.from_json({**json.loads(WRITTEN_BEFORE.read_text()), **change}, "x.json")
