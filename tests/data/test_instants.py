"""Two instants part rows in time: rows of one instant stay together, each part ends before the next begins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.instants import Instants, instants_of, parsed, prove_in_order, text_of, times_of
from pipeline.data.shares import largest_remainder
from pipeline.errors import Bug, DataError

PARTS = ("train", "validation", "test")
SHARES = (0.7, 0.1, 0.2)
whens = st.lists(st.integers(-20, 20), min_size=3, max_size=60).filter(lambda found: len(set(found)) > 2)


@given(times=whens)
def test_every_part_has_rows_and_ends_before_the_next_begins(times):
    codes = instants_of(np.array(times), SHARES).codes(np.array(times))

    assert set(codes.tolist()) == {0, 1, 2}
    spans = [{time for time, code in zip(times, codes, strict=True) if code == part} for part in range(3)]
    assert max(spans[0]) < min(spans[1])
    assert max(spans[1]) < min(spans[2])


@given(times=whens, data=st.data())
def test_the_order_of_rows_makes_no_difference(times, data):
    assert instants_of(np.array(data.draw(st.permutations(times))), SHARES) == instants_of(np.array(times), SHARES)


@given(times=whens)
def test_no_other_instant_is_nearer_to_the_test_part_s_share(times):
    found = instants_of(np.array(times), SHARES)
    without = sorted(set(times))[:2]  # a training and a validation row are needed
    wanted = largest_remainder(len(times), SHARES)[2]

    def off(instant: int) -> float:
        return abs(sum(time >= instant for time in times) - wanted)

    assert off(found.test_from) == min(off(each) for each in set(times) if each not in without)


def test_rows_of_different_times_are_divided_into_the_exact_shares():
    codes = instants_of(np.arange(100), SHARES).codes(np.arange(100))

    assert codes.tolist() == [0] * 70 + [1] * 10 + [2] * 20
    assert codes.dtype == np.int8
    assert instants_of(np.arange(100), SHARES) == Instants(70, 80)


@pytest.mark.parametrize(
    ("days", "instants"),
    [
        ([1, 1, 1, 2, 3], (2, 3)),
        ([1, 2, 3, 3, 3, 3, 3], (2, 3)),
        ([1] * 70 + [2] * 10 + [3] * 20, (2, 3)),
        ([1] * 60 + [2] * 20 + [3] * 20, (2, 3)),
        ([1] * 5 + [2] * 5 + [3] * 45 + [4] * 45, (3, 4)),
        ([1] * 10 + [2] * 60 + [3] * 5 + [4] * 5 + [5] * 10 + [6] * 10, (3, 5)),
        ([1] * 60 + [2] * 20 + [3] * 10 + [4] * 10, (2, 3)),
    ],
)
def test_rows_of_one_time_go_together_where_the_parts_are_nearest_to_their_shares(days, instants):
    assert instants_of(np.array(days), SHARES) == instants


def test_of_two_instants_as_near_the_earlier_is_taken():
    # Eight rows before the test part: seven and nine are as near.
    times = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7, 9])
    assert instants_of(times, SHARES) == (6, 7)


@pytest.mark.parametrize("times", [[], [1], [1, 2], [1, 1, 2, 2, 2]])
def test_fewer_than_three_times_are_refused(times):
    with pytest.raises(DataError, match=rf"^split: the {len(times)} rows have {len(set(times))} different times, and"):
        instants_of(np.array(times, np.int64), SHARES)


@given(time=st.integers(parsed("0001-01-01T00:00:00.000000Z"), parsed("9999-12-31T23:59:59.999999Z")))
def test_an_instant_is_read_back_from_its_text(time):
    assert parsed(text_of(time)) == time


def test_an_instant_is_said_in_utc():
    assert text_of(0) == "1970-01-01T00:00:00.000000Z"
    assert text_of(-1) == "1969-12-31T23:59:59.999999Z"
    assert Instants(0, 1).shown() == {
        "validation_from": "1970-01-01T00:00:00.000000Z",
        "test_from": "1970-01-01T00:00:00.000001Z",
    }


def test_a_column_is_read_as_microseconds_and_a_missing_time_is_refused():
    column = pa.chunked_array([pa.array([0, 5], pa.timestamp("us", "UTC")), pa.array([7], pa.timestamp("us", "UTC"))])
    assert times_of(column).tolist() == [0, 5, 7]
    assert times_of(pa.chunked_array([pa.array([3], pa.timestamp("ms", "UTC"))])).tolist() == [3000]
    with pytest.raises(DataError, match="rows without a time are kept; run stage clean again"):
        times_of(pa.chunked_array([pa.array([0, None], pa.timestamp("us", "UTC"))]))


def test_the_proof_has_the_first_and_the_last_time_of_each_part():
    found = prove_in_order(PARTS, np.array([2, 0, 1, 0], np.int8), np.array([9, 1, 5, 0]))

    assert found == {
        "train": {"first": text_of(0), "last": text_of(1)},
        "validation": {"first": text_of(5), "last": text_of(5)},
        "test": {"first": text_of(9), "last": text_of(9)},
    }


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0, 5, 5], "the validation part ends at 1970-01-01T00:00:00.000005Z, and the test part begins at"),
        ([6, 5, 7], "the train part ends at 1970-01-01T00:00:00.000006Z, and the validation part begins at"),
    ],
)
def test_parts_that_meet_are_a_bug(times, said):
    with pytest.raises(Bug, match=said):
        prove_in_order(PARTS, np.array([0, 1, 2], np.int8), np.array(times))
