"""Whether workers can share what a recipe cuts: the nearest number that fits is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.workers import nearest_divisors, require_equal_blocks


@given(st.integers(1, 400), st.integers(1, 400))
def test_no_other_divisor_is_nearer(number: int, wanted: int) -> None:
    found = [int(each) for each in nearest_divisors(number, wanted).replace(" or ", ", ").split(", ")]
    divisors = [each for each in range(1, number + 1) if number % each == 0]
    assert len(found) == min(4, len(divisors))
    assert found == sorted(set(found) & set(divisors))
    others = set(divisors) - set(found)
    assert all(abs(one - wanted) <= abs(other - wanted) for one in found for other in others)


@pytest.mark.parametrize(
    ("number", "wanted", "said"), [(510, 4, "2, 3, 5 or 6"), (4, 3, "1, 2 or 4"), (7, 2, "1 or 7"), (1, 3, "1")]
)
def test_they_are_said_in_words(number: int, wanted: int, said: str) -> None:
    assert nearest_divisors(number, wanted) == said


@given(st.integers(1, 64), st.integers(1, 64))
def test_workers_that_share_equally_are_let_through_and_no_others(virtual_workers: int, workers: int) -> None:
    if virtual_workers % workers == 0:
        require_equal_blocks(virtual_workers, workers)
    else:
        with pytest.raises(UsageError, match=r"^horovod\.workers: "):
            require_equal_blocks(virtual_workers, workers)


def test_more_workers_than_virtual_ones_are_told_how_many_there_are() -> None:
    with pytest.raises(UsageError, match="8 workers cannot share 4 virtual workers equally; use 1, 2 or 4"):
        require_equal_blocks(4, 8)
