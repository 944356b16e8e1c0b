"""Rows that an expectation does not allow, as people are told of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts.offending import SHOWN, find_places, first_rows, in_words, listing
from pipeline.records.contract_result import OffendingRow
from pipeline.storage import shards

SCHEMA = pa.schema([("id", pa.string()), ("source", pa.string()), ("row", pa.int64())])
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)


def rows(*found: tuple[str | None, str | None, int | None]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in found], SCHEMA)


def write(folder: Path, *shards_of_rows: pa.Table) -> Path:
    entries = [shards.write_shard(folder, number, SCHEMA, [table]) for number, table in enumerate(shards_of_rows)]
    shards.finish_dataset(folder, entries, SCHEMA)
    return folder


def test_places_are_found_in_every_shard_and_of_the_wanted_rows_alone(tmp_path: Path) -> None:
    folder = write(tmp_path, rows(("a", "x.gz", 0), ("b", "x.gz", 1)), rows(("c", "y.gz", 0)))
    assert find_places(folder, ["c", "a", "nobody", "a"]) == {"a": ("x.gz", 0), "c": ("y.gz", 0)}
    assert find_places(folder, []) == {}


def test_the_first_twenty_rows_are_named() -> None:
    found = first_rows(rows(*((f"id{n}", "x.gz", n) for n in range(30))))
    assert found == tuple(OffendingRow(id=f"id{n}", source="x.gz", row=n) for n in range(SHOWN))


def test_a_row_without_an_id_is_named_all_the_same() -> None:
    assert first_rows(rows((None, "x.gz", 3))) == (OffendingRow(id="null", source="x.gz", row=3),)


def test_rows_of_one_file_are_said_together_and_those_without_a_file_by_their_ids() -> None:
    found = first_rows(rows(("a", "x.gz", 0), ("b", "y.png", 0), ("c", "x.gz", 7), ("d", None, None)))
    assert in_words(found) == "x.gz: 0, 7; y.png: 0; ids d"


@pytest.mark.long
@given(st.lists(st.tuples(TEXTS, TEXTS, st.none() | st.integers(0, 2**60)), max_size=5))
def test_whatever_a_file_is_called_the_list_is_read_back(
    found: list[tuple[str | None, str | None, int | None]],
) -> None:
    head, *lines = csv.reader(io.StringIO(listing(rows(*found)).decode(), newline=""))
    assert head == SCHEMA.names
    assert lines == [["" if value is None else str(value) for value in row] for row in found]
