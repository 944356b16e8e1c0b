"""Rare classes get the fewest copies with which they reach their share of the largest class, and the largest none."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.augmentation.changing import copies_by_class, steps_of
from pipeline.augmentation.steps.oversample import Settings, copies_of
from pipeline.recipe.recipe import AugmentParams
from pipeline.recipe.slots import Choice
from tests.ranges import assert_ranges

counts = st.lists(st.integers(0, 500), min_size=1, max_size=6)


@given(
    rows=counts, times=st.integers(1, 4), share=st.sampled_from([0.01, 0.25, 0.5, 0.7, 1.0]), most=st.integers(1, 40)
)
@example(rows=[1, 500], times=1, share=0.01, most=5)
def test_a_class_gets_the_fewest_copies_with_which_it_reaches_its_share(rows, times, share, most):
    added = copies_of(rows, times, Settings(share=share, most=most))

    wanted = Fraction(str(share)) * max(rows) * times
    for each, copies in zip(rows, added, strict=True):
        assert 0 <= copies <= most
        if each:
            assert copies == most or each * (times + copies) >= wanted
            assert copies == 0 or each * (times + copies - 1) < wanted
        else:
            assert copies == 0


@given(rows=counts, times=st.integers(1, 4))
def test_the_largest_class_gets_none(rows, times):
    assert copies_of(rows, times, Settings())[rows.index(max(rows))] == 0


@pytest.mark.parametrize(
    ("rows", "times", "settings", "added"),
    [
        ([100, 50, 10], 1, {}, [0, 1, 9]),
        ([100, 50, 10], 1, {"share": 0.5}, [0, 0, 4]),
        ([100, 50, 10], 2, {"share": 0.5}, [0, 0, 8]),
        ([100, 99, 10], 1, {"most": 3}, [0, 1, 3]),
        ([100, 1, 0], 1, {}, [0, 32, 0]),
        ([], 1, {}, []),
    ],
)
def test_examples(rows, times, settings, added):
    assert copies_of(rows, times, Settings(**settings)) == added


def params(copies: int, when: str = "before", *steps: str) -> AugmentParams:
    return AugmentParams.model_validate({"copies": copies, "when": when, "steps": list(steps)})


def test_the_recipe_s_copies_are_of_all_rows_and_those_of_rare_ones_come_on_top():
    def copies(*of: object) -> list[int]:
        found = copies_by_class(params(*of), [100, 50, 10])
        assert found is not None
        return found.tolist()

    assert copies(0, "before", "oversample") == [0, 1, 9]  # beside the row itself
    assert copies(1, "before", "oversample") == [1, 3, 19]
    assert copies(1, "during", "oversample") == [1, 2, 10]  # in its place
    assert copies(2, "during", "oversample") == [2, 4, 20]
    assert copies(0, "before", "oversample", "oversample") == [0, 2, 18]
    assert copies_by_class(params(2, "before", "noise"), [100, 50, 10]) is None


@pytest.mark.parametrize(
    ("copies", "when", "steps", "expected"),
    [
        (0, "before", ["oversample"], (True, True, False)),
        (2, "before", ["oversample"], (True, True, False)),
        (2, "during", ["oversample"], (True, False, True)),
        (0, "before", [], (False, False, False)),
        (0, "during", [], (False, False, False)),
        (1, "before", ["noise"], (False, True, False)),
        (1, "during", ["noise"], (False, False, True)),
    ],
)
def test_when_there_are_copies(copies, when, steps, expected):
    found = params(copies, when, *steps)

    assert (found.adds_copies, found.writes_copies, found.makes_copies) == expected


def test_it_changes_nothing_and_takes_no_random_numbers_from_others():
    noise = Choice(name="noise", settings={"levels": 4.0})

    assert steps_of([Choice(name="oversample"), noise]) == steps_of([noise])


def test_a_share_is_above_0_and_copies_are_at_least_one():
    assert_ranges(Settings, {}, share=(0.01, 1.0, 0.0, 1.1), most=(1, 1000, 0, 1001))
    assert Settings() == Settings(share=1.0, most=32)
