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


def test_the_whole_of_a_gate() -> None:
    drafted = gate(BALANCED, {})
    rule = {"error": 0.05, "total_margin": 0.02, "verdicts": 365, "slice_margin": 0.05}
    assert drafted.values == {
        "minimum": {"accuracy": 0.55},
        "maximum": {},
        "confidence": 0.95,
        "rule": {"name": "better", "settings": rule},
    }
    assert drafted.floor == (
        "0.55 lies halfway between always naming '0' (0.1) and no mistake; on 2 000 test rows a measured 0.569 or more "
        "shows it at 95 % confidence. Set it to what the model must reach"
    )
    assert drafted.margin == (
        "S = 2 points: on 2 000 test rows a model that is as good, and answers otherwise on 5 % of them, passes every "
        "second time; S = 1 point needs 6 900 such rows, and on fewer than 649 rows nothing passes this S"
    )


@pytest.mark.parametrize(("first", "floor", "what"), [(979, 0.99, "lies halfway"), (985, 0.985, "is what always nam")])
def test_where_guessing_is_nearly_never_wrong_it_is_the_floor(first: int, floor: float, what: str) -> None:
    drafted = gate({"a": first, "b": 1000 - first}, {})
    assert drafted.values["minimum"] == {"accuracy": floor}
    assert drafted.floor.startswith(f"{floor:g} {what}")


@pytest.mark.parametrize(
    ("rows", "margin"),
    [(16, 0.49), (23, 0.4), (35, 0.3), (44, 0.25), (58, 0.2), (88, 0.15), (155, 0.1), (248, 0.07), (407, 0.05),
     (921, 0.03), (2000, 0.02), (10_000, 0.01)],
)  # fmt: skip
def test_s_is_the_least_margin_that_an_equal_model_passes_every_second_time(rows: int, margin: float) -> None:
    drafted = gate({"a": rows // 2, "b": rows - rows // 2}, {})
    assert drafted.values["rule"]["settings"]["total_margin"] == margin
    half, z = round(rows * 0.025), z_at(ERROR / VERDICTS)
    assert has_power(Counts(rows, max(1, half), max(1, half)), margin, z)
    assert not has_power(Counts(rows, max(1, half), max(1, half)), margin / 2, z)


@pytest.mark.parametrize(
    ("rows", "margin"),
    [(16, 0.2), (22, 0.15), (45, 0.1), (80, 0.07), (200, 0.05), (400, 0.03), (800, 0.02), (3000, 0.01)],
)
def test_the_margin_of_a_class_is_that_of_the_smallest_that_can_be_judged(rows: int, margin: float) -> None:
    drafted = gate({"a": rows, "b": 100_000, "few": 15}, {}).values["rule"]["settings"]
    assert (drafted["slice_margin"], drafted["unjudged"]) == (margin, {"class": {"few": "only 15 test rows"}})


def test_with_a_handful_of_rows_no_margin_is_shown_and_the_reason_says_so() -> None:
    drafted = gate({"a": 3, "b": 4}, {})
    settings = drafted.values["rule"]["settings"]
    assert settings["total_margin"] == {"none": "7 test rows show no margin below a half"}
    assert settings["slice_margin"] == 0.2
    assert drafted.margin == "7 test rows show no margin below a half; take more test rows"
    assert "on 7 test rows no result on so few rows shows it" in drafted.floor


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
