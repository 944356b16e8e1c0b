"""The contracts that are drafted: what was found, widened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts.suites import read_suite
from pipeline.drafting.config import suite_text
from pipeline.drafting.expectations import Section
from pipeline.drafting.looking import Delivered
from pipeline.drafting.measuring import Range, Table
from pipeline.drafting.suites import prepared_suite, raw_suite
from tests.drafting.given import delivered, looked_at, pictures

RAW = (
    "id", "label", "part", "source", "row", "content_digest", "problem", "detail", "image_height", "image_width",
    "image_channels", "image_mode", "image_encoding", "image_bytes",
)  # fmt: skip
PREPARED = (
    "id",
    "label",
    "image_mean",
    "image_std",
    "image_bytes",
    "part",
    "copy",
    "source_id",
    "source_part",
    "parts_with_row",
)
LEVELS = st.floats(0, 255, allow_nan=False)
STD = Range(5, 60, 30, 10)
DRAFTED = Path(__file__).with_name("drafted")


def kwargs_of(sections: list[Section], kind: str, column: str | None = None) -> list[dict[str, Any]]:
    return [
        each.kwargs
        for section in sections
        for each in section.expectations
        if each.type == kind and (column is None or each.kwargs.get("column") == column)
    ]


def raw(rows: int = 1000, wrong: int = 0, duplicates: int = 0, same_place: int = 0) -> list[Section]:
    found = Delivered(rows=rows)
    found.parts.update(train=rows)
    found.labels.update(a=(rows - wrong) // 2, b=rows - wrong - (rows - wrong) // 2)
    if wrong:
        found.problems["empty file"] = wrong
    table = Table(rows, RAW, {}, exceptions=same_place, duplicates=duplicates)
    return raw_suite(table, found, pictures((20, 30), (40, 30)), [0.5, 0.5], "image")


def prepared(
    low: float = 20, high: float = 200, mean: float = 100, deviation: float = 10, std: Range = STD
) -> list[Section]:
    found = Range(low, high, mean, deviation)
    table = Table(3000, PREPARED, {"image_mean": found, "image_std": std})
    return prepared_suite(table, [0.5, 0.5], 64, "image", 2000, 1)


@pytest.mark.parametrize(("of", "columns"), [("raw", RAW), ("prepared", PREPARED)])
def test_a_draft_is_a_suite_that_a_run_takes(tmp_path: Path, of: str, columns: tuple[str, ...]) -> None:
    path = tmp_path / f"{of}.yaml"
    path.write_text(suite_text("leaves", of, "a table", raw(wrong=3, duplicates=5) if of == "raw" else prepared()))
    suite = read_suite(path, columns)
    assert suite.name == f"leaves.{of}"
    assert len(suite.expectations) > 15


def test_the_whole_of_a_draft_of_raw_rows() -> None:
    found = Delivered(rows=1000, unlabelled=100, null_labels=120, unknown_labels=30)
    found.parts.update(test=200, train=800)
    found.labels.update(a=550, b=300)
    found.problems.update({"empty file": 15, "not a picture": 5})
    seen = pictures((20, 30), (40, 30), modes={"RGB": 1, "L": 1})
    seen.channels[3] = seen.encodings["jpeg"] = 1
    sections = raw_suite(Table(1000, RAW, {}, duplicates=5), found, seen, [550 / 850, 300 / 850], "image")
    assert suite_text("leaves", "raw", "a table", sections) == (DRAFTED / "raw.yaml").read_text()


def test_the_whole_of_a_draft_of_prepared_rows() -> None:
    text = suite_text("leaves", "prepared", "another table", prepared(std=Range(0, 60, 30, 10)))
    assert text == (DRAFTED / "prepared.yaml").read_text()


def test_what_a_source_does_not_tell_is_not_promised() -> None:
    seen = pictures()
    seen.channels.clear()
    found = Delivered(rows=9)
    columns = tuple(name for name in RAW if name not in ("problem", "image_mode"))
    sections = raw_suite(Table(9, columns, {}), found, seen, [1.0], "image")
    columns_named = {each.kwargs.get("column") for section in sections for each in section.expectations}
    assert not columns_named & {"problem", "image_mode", "image_height", "image_width", "image_channels"}
    assert not kwargs_of(prepared_suite(Table(9, PREPARED, {}), [1.0], 64, "image", 9, 1), "column_mean_to_be_between")


def test_rows_may_halve_or_double() -> None:
    assert kwargs_of(raw(rows=1001), "table_row_count_to_be_between") == [{"min_value": 500, "max_value": 2002}]


@pytest.mark.parametrize(("wrong", "mostly"), [(0, 0.99), (50, 0.89), (900, 0.001)])
def test_rows_that_cannot_be_used_may_double_and_one_in_a_hundred_more(wrong: int, mostly: float) -> None:
    found = kwargs_of(raw(wrong=wrong), "column_values_to_be_null", "problem")
    assert found == [{"column": "problem", "mostly": mostly}]


def test_a_size_that_is_always_the_same_stays_so_and_others_may_halve_or_double() -> None:
    [height], [width] = (
        kwargs_of(raw(), "column_values_to_be_between", f"image_{side}") for side in ("height", "width")
    )
    assert (height["min_value"], height["max_value"]) == (10, 80)
    assert (width["min_value"], width["max_value"]) == (30, 30)


@pytest.mark.parametrize(("low", "high", "bounds"), [(1, 2, (1, 4)), (3, 4, (1, 8)), (6, 7, (3, 14)), (1, 1, (1, 1))])
def test_a_size_never_halves_to_none(low: int, high: int, bounds: tuple[int, int]) -> None:
    sections = raw_suite(Table(9, RAW, {}), Delivered(rows=9), pictures((low, 5), (high, 5)), [1.0], "image")
    [height] = kwargs_of(sections, "column_values_to_be_between", "image_height")
    assert (height["min_value"], height["max_value"]) == bounds


def test_that_no_place_comes_twice_is_promised_only_where_it_holds() -> None:
    kind = "compound_columns_to_be_unique"
    assert kwargs_of(raw(), kind) == [{"column_list": ["source", "row"]}]
    assert kwargs_of(raw(same_place=1), kind) == []


def test_rows_of_the_same_content_may_double_and_two_in_a_hundred_more() -> None:
    [found] = kwargs_of(raw(duplicates=100), "column_proportion_of_unique_values_to_be_between")
    assert found["min_value"] == 0.78
    kind = "column_proportion_of_unique_values_to_be_between"
    assert [each["min_value"] for each in kwargs_of(raw(duplicates=489), kind)] == [0.002]
    assert kwargs_of(raw(duplicates=490), kind) == []  # nothing is left to promise


def test_brightness_of_a_picture_may_go_halfway_to_what_is_possible() -> None:
    [found] = kwargs_of(prepared(), "column_values_to_be_between", "image_mean")
    assert (found["min_value"], found["max_value"]) == (10, 228)


def test_a_mean_may_move_by_half_of_the_deviation_two_levels_at_the_least_and_nowhere_that_is_impossible() -> None:
    for mean, deviation, bounds in ((100, 1, (98, 102)), (1, 10, (0, 6)), (254, 10, (249, 255)), (50, 9, (45.5, 54.5))):
        [found] = kwargs_of(prepared(mean=mean, deviation=deviation), "column_mean_to_be_between", "image_mean")
        assert (found["min_value"], found["max_value"]) == bounds
    [note] = [
        each.notes
        for each in prepared(std=Range(1.5, 60, 30, 10))[-1].expectations
        if each.kwargs["column"] == "image_std" and each.type == "column_values_to_be_between"
    ]
    assert note == "1.5 to 60 found, of grey levels of 0 to 255"
    [of_std] = kwargs_of(prepared(std=Range(1.5, 127.5, 126, 10)), "column_mean_to_be_between", "image_std")
    assert (of_std["min_value"], of_std["max_value"]) == (121, 128)


def test_a_bound_is_rounded_outwards_to_three_digits() -> None:
    [found] = kwargs_of(prepared(1.2345, 20.001), "column_values_to_be_between", "image_mean")
    assert (found["min_value"], found["max_value"]) == (0.617, 138)
    [small] = kwargs_of(prepared(0.024691, 20.001), "column_values_to_be_between", "image_mean")
    assert small["min_value"] == 0.0123


def test_a_bound_that_nothing_can_break_is_left_out() -> None:
    [found] = kwargs_of(prepared(low=0), "column_values_to_be_between", "image_mean")
    assert "min_value" not in found
    assert kwargs_of(prepared(low=0, high=255), "column_values_to_be_between", "image_mean") == []


@given(LEVELS, LEVELS, st.floats(0, 127, allow_nan=False))
def test_what_was_found_is_within_its_own_bounds(one: float, other: float, deviation: float) -> None:
    low, high = sorted([one, other])
    mean = (low + high) / 2
    sections = prepared(low, high, mean, deviation)
    for bounds in kwargs_of(sections, "column_values_to_be_between", "image_mean"):
        assert bounds.get("min_value", 0) <= low
        assert high <= bounds.get("max_value", 255)
    [of_mean] = kwargs_of(sections, "column_mean_to_be_between", "image_mean")
    assert of_mean["min_value"] <= mean <= of_mean["max_value"]


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=40))
def test_shares_add_up_and_the_classes_found_are_within_their_own_bound(counts: list[int]) -> None:
    shares = [count / sum(counts) for count in counts]
    table = Table(sum(counts), PREPARED, {})
    [found] = kwargs_of(
        prepared_suite(table, shares, 64, "image", sum(counts), 1), "column_kl_divergence_to_be_less_than"
    )
    weights = found["partition_object"]["weights"]
    assert sum(weights) == pytest.approx(1, abs=1e-9)
    assert (
        sum(share * math.log(share / weight) for share, weight in zip(shares, weights, strict=True))
        < found["threshold"]
    )


def test_of_ten_equal_classes_one_at_half_its_share_is_the_limit() -> None:
    table = Table(10_000, PREPARED, {})
    [found] = kwargs_of(
        prepared_suite(table, [0.1] * 10, 64, "image", 10_000, 1), "column_kl_divergence_to_be_less_than"
    )
    halved = [0.05, *[0.1 * (1 + 0.05 / 0.9)] * 9]
    assert sum(share * math.log(share / 0.1) for share in halved) == pytest.approx(found["threshold"], rel=0.01)


@pytest.mark.parametrize(
    ("shares", "rows", "threshold"),
    [([0.5, 0.5], 10, 0.25), ([0.5, 0.5], 0, 2.5), ([0.001] * 1000, 10**9, 0.01), ([0.2, 0.8, 0.0], 10**6, 0.382)],
)
def test_shares_may_move_by_chance_and_by_a_hundredth_at_the_least(
    shares: list[float], rows: int, threshold: float
) -> None:
    sections = prepared_suite(Table(9, PREPARED, {}), shares, 64, "image", rows, 2)
    [found] = kwargs_of(sections, "column_kl_divergence_to_be_less_than")
    assert found["threshold"] == threshold
    assert min(found["partition_object"]["weights"]) > 0
    assert "2 changed copies of each training row" in sections[0].expectations[0].notes


def test_pixels_that_stand_in_two_parts_already_are_let_stay_and_the_note_counts_them() -> None:
    table = Table(3000, PREPARED, {}, exceptions=4)
    [apart] = [
        each
        for section in prepared_suite(table, [0.5, 0.5], 64, "image", 2000, 1)
        for each in section.expectations
        if each.kwargs.get("column") == "parts_with_row"
    ]
    assert apart.kwargs["mostly"] == 0.987
    assert apart.notes == "4 of 3 000 rows have their very pixels in another part too"


def test_labels_of_no_class_may_double_in_the_classes_divergence() -> None:
    found = Delivered(rows=1000, unknown_labels=300)
    found.parts.update(train=1000)
    found.labels.update(a=350, b=350)
    sections = raw_suite(Table(1000, RAW, {}), found, pictures((20, 30)), [0.5, 0.5], "image")
    [bound] = kwargs_of(sections, "column_kl_divergence_to_be_less_than")
    expected, observed = [0.495, 0.495, 0.01], [0.2, 0.2, 0.6]
    assert bound["threshold"] > sum(seen * math.log(seen / due) for seen, due in zip(observed, expected, strict=True))


def test_unlabelled_rows_are_let_be_and_the_unusable_are_not_held_against_the_labels() -> None:
    looking, _ = looked_at(delivered(["a", "b", None, "a"], problems=[None, None, None, "empty file"]))
    sections = raw_suite(Table(4, RAW, {}), looking.delivered, looking.pictures, [0.5, 0.5], "image")
    [null] = kwargs_of(sections, "column_values_to_not_be_null", "label")
    assert null["mostly"] == 0.49
    [known] = kwargs_of(sections, "column_values_to_be_in_set", "label")
    assert known["mostly"] == 0.323
