from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.ahead import ahead
from tests.waiting import wait_for


@given(st.lists(st.none() | st.integers()))
def test_values_come_as_they_are_in_their_order(values: list[int | None]) -> None:
    assert list(ahead(values)) == values


def test_one_value_is_made_while_the_one_before_is_in_use_and_no_more() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            yield number

    values = ahead(source())
    for number in range(5):
        assert next(values) == number
        wait_for(lambda number=number: made == list(range(number + 2)), "the next value")  # type: ignore[misc]
    values.close()  # type: ignore[attr-defined]
    assert len(made) == 6


def test_what_making_a_value_raises_is_raised_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    values = ahead(source())
    assert next(values) == 1
    with pytest.raises(ValueError, match="two"):
        next(values)


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    values = ahead(range(9))
    next(values)
    values.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
