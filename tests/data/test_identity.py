"""Ids: functions of the content, never of its place."""

from __future__ import annotations

from pipeline.data.identity import RowNames


def test_equal_rows_are_counted_and_part_and_label_are_of_the_name():
    first, second, other_label, other_part = RowNames().names(
        ["train", "train", "train", "test"], [0, 0, 1, 0], ["d"] * 4
    )

    assert len({first, second, other_label, other_part}) == 4


def test_a_row_is_named_alike_in_whatever_batch_it_comes():
    at_once, one_by_one = RowNames(), RowNames()

    assert at_once.names(["train"] * 3, [0] * 3, ["d"] * 3) == [
        one_by_one.names(["train"], [0], ["d"])[0] for _ in range(3)
    ]


def test_a_row_has_the_id_it_has_always_had():
    assert RowNames().names(["train"], [3], ["d"]) == ["5931c27ee41956399c6178e8b9aec483"]
