"""Whether workers can share what a recipe cuts: the nearest number that fits is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.workers import nearest_divisor, require_equal_blocks


@given(st.integers(1, 400), st.integers(1, 400))
def test_no_other_divisor_is_nearer(number: int, wanted: int) -> None:
    found = nearest_divisor(number, wanted)
    assert number % found == 0
    assert all(abs(found - wanted) <= abs(other - wanted) for other in range(1, number + 1) if number % other == 0)


def test_of_two_that_are_equally_near_it_is_the_smaller() -> None:
    assert nearest_divisor(4, 3) == 2


@given(st.integers(1, 64), st.integers(1, 64))
def test_workers_that_share_equally_are_let_through_and_no_others(virtual_workers: int, workers: int) -> None:
    if virtual_workers % workers == 0:
        require_equal_blocks(virtual_workers, workers)
    else:
        with pytest.raises(UsageError, match=r"^horovod\.workers: "):
            require_equal_blocks(virtual_workers, workers)


def test_more_workers_than_virtual_ones_are_told_how_many_there_are() -> None:
    with pytest.raises(UsageError, match="8 workers cannot share 4 virtual workers equally; use 4"):
        require_equal_blocks(4, 8)
