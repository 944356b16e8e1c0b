"""Weights of rows, from texts: a number within bounds, or the row's problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.feature_kinds import content_digests, source_schema, specs
from pipeline.data.problems import NO_WEIGHT, NOT_A_WEIGHT, PROBLEMS, TARGET_NOT_A_NUMBER
from pipeline.data.row_faults import Faults
from pipeline.data.table_rows import Block, needed_columns, source_tables
from pipeline.data.table_weights import LARGEST, SMALLEST, weights
from pipeline.errors import DataError
from pipeline.recipe.slots import Feature
from pipeline.recipe.table_source import TableSettings
from pipeline.storage.row_columns import WEIGHT, RowColumns
from tests.data.csv_files import wanted

SETTINGS = TableSettings.model_validate({"target": "y"})
ASKED = wanted("a", roles={"weight": "w"})


def read(*texts: str | None) -> tuple[list[float | None], list[str | None], list[str | None]]:
    faults = Faults(len(texts))
    found = weights(pa.array(texts, pa.string()), "w", faults)
    problems, details = faults.columns()
    return found.to_pylist(), problems.to_pylist(), details.to_pylist()


def rows_of(columns: dict[str, Any]) -> pa.Table:
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    block = Block("a.csv", table, pa.array(range(1, table.num_rows + 1), pa.int64()))
    return pa.concat_tables(source_tables(iter([block]), SETTINGS, ASKED, Path("/nonexistent")))


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1.0), (" 0.5 ", 0.5), ("+2e3", 2000.0), ("007", 7.0), ("1e-6", 1e-6), ("1000000", 1e6)]
)
def test_a_number_within_the_bounds_is_a_weight(text: str, value: float) -> None:
    assert read(text) == ([value], [None], [None])


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_row_without_a_weight_has_that_problem(text: str | None) -> None:
    assert read("2", text) == ([2.0, None], [None, NO_WEIGHT], [None, "column 'w' is empty"])


@pytest.mark.parametrize("text", ["0", "-0.0", "-1", "1e-7", "1000000.1", "1e400", "1e-400"])
def test_a_number_beyond_the_bounds_is_none(text: str) -> None:
    said = f"column 'w': {text!r} is not from 1e-06 to 1,000,000"
    assert read(text, "1") == ([None, 1.0], [NOT_A_WEIGHT, None], [said, None])


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1,5", "1_0", "0x1", "heavy", "\u0661"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert read(text) == ([None], [NOT_A_WEIGHT], [f"column 'w': {text!r} is not a number"])


@given(st.lists(st.one_of(st.none(), st.text(max_size=6), st.floats().map(repr)), max_size=20))
def test_a_row_has_either_a_weight_within_the_bounds_or_a_problem(texts: list[str | None]) -> None:
    for value, problem in zip(*read(*texts)[:2], strict=True):
        assert (value is None) == (problem in (NO_WEIGHT, NOT_A_WEIGHT))
        assert value is None or SMALLEST <= value <= LARGEST
    assert {NO_WEIGHT, NOT_A_WEIGHT} <= set(PROBLEMS)


def test_weights_are_a_column_of_rows_that_keeps_its_first_problem() -> None:
    found = rows_of({"a": ["x"] * 4, "y": ["1", "2", "z", "4"], "w": ["2", "", "no", "0.25"]})
    assert found[WEIGHT].type == pa.float64()
    assert found[WEIGHT].to_pylist() == [2.0, None, None, 0.25]
    assert found["problem"].to_pylist() == [None, NO_WEIGHT, TARGET_NOT_A_NUMBER, None]
    assert found["a"].to_pylist() == ["x", None, None, "x"]
    features = specs({"a": Feature(kind="category")})
    assert set(source_schema(features, RowColumns.of((), ASKED.roles)).names) == set(found.column_names)


def test_a_weight_makes_no_row_another_one() -> None:
    features, own = specs({"a": Feature(kind="category")}), RowColumns.of((), ASKED.roles)
    found = rows_of({"a": ["x", "x", "y"], "y": ["1", "1", "1"], "w": ["1", "2", "1"]})
    first, second, other = content_digests(features, found, own)
    assert first == second != other


def test_a_column_that_is_not_there_is_named() -> None:
    assert needed_columns(SETTINGS, ASKED)["w"] == "data.roles.weight"
    with pytest.raises(DataError, match=r"has no column 'w', which data\.roles\.weight names"):
        rows_of({"a": ["x"], "y": ["1"]})
