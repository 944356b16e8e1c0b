"""A check's outcome, and that what is shown stands on the side of the bound where the figure is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.checks import Asked, check_of, off, rounded
from pipeline.recipe.bounds import Off
from pipeline.records.verdict import GateCheck


def test_a_check_is_what_was_found() -> None:
    passed, failed = (check_of("a", 0.5, 0.4, "said", passes=passes) for passes in (True, False))
    assert (passed.name, passed.figure, passed.bound, passed.outcome, passed.sentence) == (
        "a",
        0.5,
        0.4,
        "pass",
        "said",
    )
    assert failed.outcome == "fail"


def test_a_check_that_is_switched_off_has_neither_figure_nor_bound() -> None:
    check = off("a", "few rows")
    assert (check.name, check.figure, check.bound, check.outcome, check.sentence) == (
        "a",
        None,
        None,
        "off",
        "few rows",
    )


@given(st.floats(-10, 10), st.floats(-1e-5, 1e-5))
def test_rounding_moves_no_figure_to_the_other_side_of_its_bound_or_onto_it(bound: float, away: float) -> None:
    figure = bound + away
    shown = rounded(figure, bound)
    assert (shown < bound, shown > bound) == (figure < bound, figure > bound)
    assert shown == pytest.approx(figure, abs=5.1e-7)


def test_a_figure_is_shown_with_six_digits_where_that_can_be() -> None:
    assert rounded(0.12345678, 0.5) == 0.123457
    assert rounded(0.50000001, 0.5) == 0.50000001
    assert rounded(math.nextafter(0.5, 0), 0.5) == math.nextafter(0.5, 0)
    assert rounded(0.5, 0.5) == 0.5


def found(figure: float | None = 0.6, bound: float | None = 0.5, *, passes: bool = True) -> GateCheck:
    return check_of("a", figure, bound, "said", passes=passes)


@pytest.mark.parametrize(
    ("asked", "check", "problem"),
    [
        (Asked(0.5), found(), None),
        (Asked(0.5), found(0.5), None),
        (Asked(0.5), found(0.4), "passes with 0.4, bound 0.5"),
        (Asked(0.5), found(0.4, passes=False), None),
        (Asked(0.5), found(None), None),
        (Asked(0.5, is_minimum=False), found(0.4), None),
        (Asked(0.5, is_minimum=False), found(0.5), None),
        (Asked(0.5, is_minimum=False), found(0.6), "passes with 0.6, bound 0.5"),
        (Asked(0.5), found(bound=0.5 + 1e-10), None),
        (Asked(0.5), found(bound=0.5001), "is held to 0.5001, not 0.5"),
        (Asked(0.5), found(bound=None), "is held to None, not 0.5"),
        (Asked(0.5), off("a", "few rows"), "is not off in the recipe"),
        (Asked(0.5, may_be_off=True), off("a", "few rows"), None),
        (Asked(Off(none="few rows")), off("a", "few rows"), None),
        (Asked(Off(none="few rows")), off("a", "another reason"), "is off in the recipe"),
        (Asked(Off(none="few rows")), found(), "is off in the recipe"),
    ],
)
def test_a_check_is_held_to_what_is_asked(asked: Asked, check: GateCheck, problem: str | None) -> None:
    assert asked.problem(check) == problem
