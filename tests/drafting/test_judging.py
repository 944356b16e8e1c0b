"""What so many test rows can show, as a draft says it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.drafting.judging import ERROR, VERDICTS, gate
from pipeline.gate.intervals import of_share
from pipeline.gate.paired import Counts, has_power, z_at
from pipeline.recipe.recipe import RULE, GateParams

BALANCED = {str(number): 200 for number in range(10)}
ROWS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 20_000), min_size=2)


def test_the_floor_is_halfway_between_guessing_and_no_mistake() -> None:
    drafted = gate(BALANCED, {})
    assert drafted.values["minimum"] == {"accuracy": 0.55}
    assert drafted.floor.startswith(
        "0.55 lies halfway between always naming '0' (0.1) and no mistake; on 2 000 test rows"
    )


def test_what_is_said_to_show_the_floor_does_and_one_row_less_does_not() -> None:
    measured = float(re.findall(r"a measured ([\d.]+) or more", gate(BALANCED, {}).floor)[0])
    hits = round(measured * 2000)
    assert of_share(hits, 2000, 0.95).low >= 0.55 > of_share(hits - 1, 2000, 0.95).low


def test_bounds_of_another_model_are_switched_off_with_a_reason() -> None:
    drafted = gate(BALANCED, {"minimum": {"accuracy": 0.9, "macro_f1": 0.9}, "maximum": {"cross_entropy": 0.5}}).values
    assert drafted["minimum"]["accuracy"] == 0.55
    assert "first model" in drafted["minimum"]["macro_f1"]["none"]
    assert "first model" in drafted["maximum"]["cross_entropy"]["none"]


@pytest.mark.parametrize(("rows", "margin"), [(200, 0.1), (2000, 0.02), (10_000, 0.01)])
def test_s_is_the_least_margin_that_an_equal_model_passes_every_second_time(rows: int, margin: float) -> None:
    drafted = gate({"a": rows // 2, "b": rows - rows // 2}, {})
    assert drafted.values["rule"]["settings"]["total_margin"] == margin
    half, z = round(rows * 0.025), z_at(ERROR / VERDICTS)
    assert has_power(Counts(rows, half, half), margin, z)
    assert not has_power(Counts(rows, half, half), margin / 2, z)


def test_with_a_handful_of_rows_no_margin_is_shown_and_the_reason_says_so() -> None:
    drafted = gate({"a": 3, "b": 4}, {})
    assert drafted.values["rule"]["settings"]["total_margin"] == {"none": "7 test rows show no margin below a half"}


def test_a_class_with_too_few_test_rows_is_named_with_their_number() -> None:
    settings = gate({"common": 2000, "rare": 5}, {}).values["rule"]["settings"]
    assert settings["unjudged"] == {"class": {"rare": "only 5 test rows"}}


@given(ROWS)
def test_every_gate_is_one_that_a_recipe_may_have(rows: dict[str, int]) -> None:
    params = GateParams.model_validate(gate(rows, {}).values)
    RULE.settings(params.rule, "gate.rule")
    assert 0.5 < params.minimum["accuracy"] < 1  # type: ignore[operator]


@given(ROWS)
def test_on_the_rows_that_a_draft_was_made_for_something_can_pass(rows: dict[str, int]) -> None:
    params = GateParams.model_validate(gate(rows, {}).values)
    assert RULE.settings(params.rule, "gate.rule").fewest_rows <= sum(rows.values())
