"""Bounds of single figures: what is unknown refuses, what is switched off says why, and each limit is the right one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from pipeline.gate import floors
from pipeline.gate.evidence import Unknown
from pipeline.gate.figures import Figures, measure
from pipeline.gate.floors import Held, check_bounds, primary_check
from pipeline.gate.intervals import Limits, of_mean, of_share
from pipeline.recipe.task import kind_of
from pipeline.records.verdict import GateCheck
from tests.evaluation.made_task import made_task
from tests.gate.given import CLASSES, ROWS, TASK, answers, rule

MEASURED = measure(answers(), answers(range(20)), TASK)
AT = "at 95 % confidence (how)"


def checked(bounds: Any, figures: Figures | Unknown = MEASURED, **more: Any) -> dict[str, GateCheck]:
    """The checks of these bounds, by name."""
    gate = rule(bounds={"minimum": {"accuracy": 0.5}, **bounds}).model_copy(update=more)
    return {check.name: check for check in check_bounds(figures, gate, TASK, 1)}


def held(value: float, low: float, high: float, bound: float, *, is_minimum: bool) -> GateCheck:
    limits = Limits(low, high, "how")
    return floors._check("a", "title", Held(value, limits), bound, 0.95, is_minimum=is_minimum)


@pytest.mark.parametrize(
    ("bound", "is_minimum", "outcome", "sentence"),
    [
        (0.6, True, "pass", f"title 0.7 is at least 0.6, 0.6 at worst {AT}"),
        (0.65, True, "fail", f"title 0.7 may be 0.6 {AT}, below 0.65"),
        (0.7, True, "fail", f"title 0.7 may be 0.6 {AT}, below 0.7"),
        (0.75, True, "fail", "title 0.7 is below 0.75"),
        (0.8, False, "pass", f"title 0.7 is at most 0.8, 0.8 at worst {AT}"),
        (0.75, False, "fail", f"title 0.7 may be 0.8 {AT}, above 0.75"),
        (0.7, False, "fail", f"title 0.7 may be 0.8 {AT}, above 0.7"),
        (0.65, False, "fail", "title 0.7 is above 0.65"),
    ],
)
def test_a_figure_is_held_to_its_bound_by_its_limit_on_that_side(
    bound: float, is_minimum: bool, outcome: str, sentence: str
) -> None:
    check = held(0.7, 0.6, 0.8, bound, is_minimum=is_minimum)
    assert (check.outcome, check.sentence, check.bound) == (outcome, sentence, bound)
    assert check.figure == (0.6 if is_minimum else 0.8)


def test_a_limit_that_is_no_number_refuses_and_one_without_end_has_no_figure() -> None:
    none = held(0.7, math.nan, math.nan, 0.1, is_minimum=True)
    assert (none.outcome, none.figure, none.bound, none.sentence) == ("fail", None, 0.1, "title has no limit (how)")
    endless = held(0.7, -math.inf, math.inf, 0.1, is_minimum=True)
    assert (endless.outcome, endless.figure) == ("fail", None)


def test_a_share_has_exact_limits_and_any_other_metric_those_of_its_rows() -> None:
    gate = rule()
    low = checked({})["minimum.accuracy"].figure
    assert low == pytest.approx(of_share(1900, ROWS, 0.95).low, abs=1e-6)
    rows = MEASURED.by_row.of("macro_f1")
    assert rows is not None
    limits = of_mean(rows, 0.95, gate.resamples, (1,), 0, 1)
    found = checked({"minimum": {"accuracy": 0.5, "macro_f1": 0.5}})["minimum.macro_f1"]
    assert found.figure == pytest.approx(limits.low, abs=1e-6)


def test_limits_are_found_at_the_gate_s_confidence_and_with_its_resamples() -> None:
    bounds = {"minimum": {"accuracy": 0.5, "macro_f1": 0.5}}
    at_95 = checked(bounds)
    at_90 = checked(bounds, confidence=0.9)
    assert at_90["minimum.accuracy"].figure == pytest.approx(of_share(1900, ROWS, 0.9).low, abs=1e-6)
    assert "at 90 % confidence" in at_90["minimum.macro_f1"].sentence
    rows = MEASURED.by_row.of("macro_f1")
    assert rows is not None
    fewer = of_mean(rows, 0.95, 400, (1,), 0, 1).low
    assert checked(bounds, resamples=400)["minimum.macro_f1"].figure == pytest.approx(fewer, abs=1e-6)
    assert at_95["minimum.macro_f1"].figure == pytest.approx(of_mean(rows, 0.95, 2000, (1,), 0, 1).low, abs=1e-6)
    few = checked(bounds, resamples=399)["minimum.macro_f1"]
    assert few.sentence == "macro F1 is not known: 399 resamples, needed are at least 400 at a confidence of 0.95"
    assert few.outcome == "fail"


def test_the_seed_draws_the_resamples() -> None:
    gate = rule(bounds={"minimum": {"accuracy": 0.5, "macro_f1": 0.5}})
    one, other = (check_bounds(MEASURED, gate, TASK, seed)[1].figure for seed in (1, 2))
    assert one != other


def test_the_overfit_has_the_limits_of_the_test_part_alone() -> None:
    limits = of_share(1900, ROWS, 0.95)
    bounds = {"maximum": {"overfit": 0.2}}
    found = checked(bounds)["maximum.overfit"]
    assert found.figure == pytest.approx(0.99 - limits.low, abs=1e-6)
    assert found.sentence == (
        f"overfit 0.04 is at most 0.2, {round(0.99 - limits.low, 6):g} at worst at 95 % confidence (Clopper–Pearson)"
    )


def test_the_overfit_of_a_metric_that_is_better_the_lower_turns_over() -> None:
    with made_task() as name:
        task = kind_of(name)(kind_settings(name), CLASSES)
        test = answers(answers=answers().labels + np.float32(0.5) * (np.arange(ROWS) % 4 == 0))
        train = answers(answers=answers().labels + np.float32(0.25) * (np.arange(ROWS) % 4 == 0))
        figures = measure(test, train, task)
        gate = rule(bounds={"maximum": {"mean_error": 0.5, "overfit": 0.5}})
        found = {check.name: check for check in check_bounds(figures, gate, task, 1)}
        rows = figures.by_row.of("mean_error")
        assert rows is not None
        limits = of_mean(rows, 0.95, gate.resamples, (1,), 0)
        assert primary_check(task) == "maximum.mean_error"
        assert found["maximum.overfit"].figure == pytest.approx(limits.high - 0.0625, abs=1e-6)
        assert found["maximum.overfit"].sentence.startswith("overfit 0.0625 steps is at most 0.5")
        lower = floors._overfit(figures, gate, 1)
        assert isinstance(lower, Held)
        assert lower.limits.low == pytest.approx(limits.low - 0.0625)


def kind_settings(name: str) -> Any:
    from pipeline.recipe.recipe import TASK as SLOT
    from pipeline.recipe.slots import Choice

    return SLOT.settings(Choice(name=name), "task")


def test_a_figure_that_nobody_has_is_unknown_with_its_reason() -> None:
    class NoRows:
        def of(self, metric: str) -> None: ...

        def of_slice(self, column: str, value: str, metric: str) -> None: ...

    def of(figure: float | None) -> Figures:
        test = {name: each for name, each in MEASURED.test.items() if name != "accuracy"}
        now = {**test, **({} if figure is None else {"accuracy": figure})}
        return dataclasses.replace(MEASURED, test=now, by_row=NoRows())

    for figure, why in (
        (None, "nobody measures it"),
        (math.nan, "it is nan, not a number"),
        (math.inf, "it is inf, not a number"),
        (0.9, "the task gives no values of it by row, so it has no limits"),
    ):
        found = checked({"maximum": {"overfit": 0.2}}, of(figure))
        assert found["minimum.accuracy"].sentence == f"accuracy is not known: {why}"
        assert found["minimum.accuracy"].outcome == "fail"
        assert found["minimum.accuracy"].bound == 0.5
        assert found["maximum.overfit"].sentence == f"overfit is not known: {why}"


def test_where_nothing_was_measured_every_bound_says_so() -> None:
    bounds = {"slices": {"class": {"cat": {"minimum": {"recall": 0.8}}}}, "maximum": {"overfit": 0.2}}
    found = checked(bounds, Unknown("no predictions"))
    assert {name: check.sentence for name, check in found.items()} == {
        "minimum.accuracy": "accuracy is not known: no predictions",
        "maximum.overfit": "overfit is not known: no predictions",
        "slices.class.cat.minimum.recall": "recall of cat is not known: no predictions",
    }
    assert {check.outcome for check in found.values()} == {"fail"}


@pytest.mark.parametrize(
    "slices", [{"class": {"cow": {"minimum": {"recall": 0.1}}}}, {"age": {"cat": {"minimum": {"recall": 0.1}}}}]
)
def test_a_slice_that_is_not_there_is_unknown(slices: Any) -> None:
    [name] = (name for name in checked({"slices": slices}) if name.startswith("slices."))
    assert "nobody measures it" in checked({"slices": slices})[name].sentence


def test_a_slice_is_held_by_its_own_rows_and_to_both_sides() -> None:
    slices = {
        "class": {
            "cat": {"minimum": {"recall": 0.8}, "maximum": {"f1": 0.99}},
            "dog": {"minimum": {"f1": {"none": "few"}}},
        }
    }
    found = checked({"slices": slices})
    assert found["slices.class.cat.minimum.recall"].figure == pytest.approx(of_share(950, 1000, 0.95).low, abs=1e-6)
    assert found["slices.class.cat.maximum.f1"].sentence.startswith("F1 of cat 0.95 is at most 0.99")
    assert (found["slices.class.dog.minimum.f1"].outcome, found["slices.class.dog.minimum.f1"].sentence) == (
        "off",
        "few",
    )


def test_a_recipe_that_does_not_bound_the_primary_metric_is_refused_before_all_else() -> None:
    gate = rule(bounds={"minimum": {"macro_f1": 0.1}})
    first = check_bounds(MEASURED, gate, TASK, 1)[0]
    assert (first.name, first.outcome, first.figure, first.bound, first.sentence) == (
        *("minimum.accuracy", "fail", None, None, "accuracy is not bounded"),
    )
