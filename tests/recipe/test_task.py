"""Bounds of the gate that cannot hold are refused from what a task declares alone, before any work."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.evaluation.tasks.classification import METRICS, Task
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import bounded_metrics, check_bounds, kind_of, task_of
from tests.evaluation.made_task import made_task

SLICES = {"class": ["cat", "dog"]}


def gate(**bounds: Any) -> GateParams:
    return GateParams(**{"minimum": {"accuracy": 0.8}, **bounds})


def refusal(kind: type[Any], rule: GateParams) -> str:
    with pytest.raises(UsageError) as raised:
        check_bounds(kind, SLICES, rule)
    return str(raised.value)


def test_a_task_is_found_by_the_name_of_its_file() -> None:
    task = task_of(Choice(name="classification", settings={"calibration_bins": 3}), ["cat", "dog"])

    assert (task.name, task.classes, task.settings.calibration_bins) == ("classification", ("cat", "dog"), 3)


def test_a_task_that_no_file_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no task 'clasification' .* \(did you mean 'classification'\?\)"):
        kind_of("clasification")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_bounded_on_the_side_that_can_be_failed(metric: Any) -> None:
    right, wrong = ("minimum", "maximum") if metric.is_higher_better else ("maximum", "minimum")

    check_bounds(
        Task,
        SLICES,
        gate(**{right: {"accuracy": 0.5, metric.name: 0.5}} if right == "minimum" else {right: {metric.name: 0.5}}),
    )

    said = refusal(Task, gate(**{wrong: {metric.name: 0.5}}))
    assert said == f"gate.{wrong}.{metric.name}: is better the {metric.better}: bound it in gate.{right}"


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"minimum": {"accuracy": 0.0}}, "gate.minimum.accuracy: nothing is below 0, so any candidate would pass"),
        ({"minimum": {"accuracy": 0.5, "mcc": -1}}, "gate.minimum.mcc: nothing is below -1, so any candidate would"),
        ({"maximum": {"calibration_error": 1.0}}, "gate.maximum.calibration_error: nothing is above 1, so any"),
        ({"maximum": {"overfit": 1.0}}, "gate.maximum.overfit: nothing is above 1, so any candidate would pass"),
        (
            {"slices": {"class": {"cat": {"minimum": {"f1": 0.0}}}}},
            "gate.slices.class.cat.minimum.f1: nothing is below",
        ),
    ],
)
def test_a_bound_that_nothing_exceeds_is_refused(bounds: Any, said: str) -> None:
    refused = refusal(Task, gate(**bounds))
    assert refused.startswith(said)
    assert refused.endswith('; to check nothing, write {none: "reason"}')


def test_a_bound_may_be_switched_off_with_a_reason() -> None:
    check_bounds(
        Task, SLICES, gate(minimum={"accuracy": {"none": "no labels yet"}}, maximum={"overfit": {"none": "x"}})
    )


@pytest.mark.parametrize("bound", [{"none": ""}, {"none": "  "}, {"none": None}, {"none": 3}, {}, None, "none", True])
def test_without_a_reason_it_is_not_switched_off(bound: Any) -> None:
    with pytest.raises(ValueError, match="accuracy"):
        gate(minimum={"accuracy": bound})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"unjudged": {"colour": {"red": "few"}}}, "gate.rule.settings.unjudged: no column 'colour' divides the rows"),
        ({"unjudged": {"class": {"dogs": "few"}}}, "gate.rule.settings.unjudged.class: no class 'dogs' (did you mean"),
        ({"slice_margins": {"class": {"cow": 0.1}}}, "gate.rule.settings.slice_margins.class: no class 'cow'"),
    ],
)
def test_a_rule_names_slices_that_there_are(named: Any, said: str) -> None:
    assert refusal(Task, gate(rule={"name": "better", "settings": named})).startswith(said)


@pytest.mark.parametrize(("confidence", "fewest"), [(0.95, 400), (0.99, 2000), (0.9999, 200_000), (0.6, 50)])
def test_fewer_resamples_than_show_a_limit_are_refused(confidence: float, fewest: int) -> None:
    if fewest <= 100_000:
        gate(confidence=confidence, resamples=fewest)
    with pytest.raises(ValueError, match=f"resamples must be at least {fewest} at a confidence of {confidence}"):
        gate(confidence=confidence, resamples=min(fewest - 1, 100_000))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"minimum": {"accuracy": 1.01}}, "gate.minimum.accuracy: 1.01 is not within 0 and 1"),
        ({"minimum": {"accuracy": 0.5, "mcc": -2.0}}, "gate.minimum.mcc: -2 is not within -1 and 1"),
        ({"maximum": {"cross_entropy": -0.1}}, "gate.maximum.cross_entropy: -0.1 is not within 0 and 16.1181"),
        ({"maximum": {"overfit": 1.5}}, "gate.maximum.overfit: 1.5 is not within -1 and 1"),
    ],
)
def test_a_bound_outside_the_range_of_its_metric_is_refused(bounds: Any, said: str) -> None:
    assert refusal(Task, gate(**bounds)) == said


@pytest.mark.parametrize("bound", [math.nan, math.inf, -math.inf])
def test_a_bound_that_is_no_number_is_no_bound(bound: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        gate(minimum={"accuracy": bound})


def test_without_a_bound_on_the_primary_metric_nothing_is_let_through() -> None:
    said = refusal(Task, gate(minimum={"macro_f1": 0.9}))
    assert said == "gate.minimum: 'accuracy' is missing: without a bound on it any candidate would pass"


def test_a_primary_metric_that_is_better_the_lower_is_bounded_from_above() -> None:
    with made_task() as name:
        kind = kind_of(name)
        check_bounds(kind, {}, gate(minimum={}, maximum={"mean_error": 2.0}))
        assert refusal(kind, gate(minimum={"within": 0.5})).startswith("gate.maximum: 'mean_error' is missing")
        assert (
            refusal(kind, gate())
            == "gate.minimum: no metric 'accuracy' of this task (valid: mean_error, overfit, within)"
        )


def test_every_task_has_overfit_in_the_unit_of_its_primary_metric() -> None:
    with made_task() as name:
        overfit = bounded_metrics(kind_of(name))["overfit"]
    assert (overfit.better, overfit.unit, overfit.high) == ("lower", "steps", math.inf)


@given(st.text(max_size=30), st.sampled_from(["minimum", "maximum"]))
def test_whatever_is_no_metric_is_refused_by_its_name(name: str, side: str) -> None:
    if name in bounded_metrics(Task):
        return
    bounds = {side: {name: 0.5}} if side == "maximum" else {side: {"accuracy": 0.5, name: 0.5}}

    assert f"gate.{side}: no metric '" in refusal(Task, gate(**bounds))
