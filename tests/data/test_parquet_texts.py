"""Columns of Parquet as text: one text for one value, whatever the width of its type; what has none is refused."""

from __future__ import annotations

import os
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.parquet_texts import look_at, read_texts, require_alike
from pipeline.errors import DataError, StorageError

MOMENT = datetime(2024, 7, 2, 3, 4, 5, 250_000)


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def rows(path: Path, *names: str) -> list[dict[str, Any]]:
    return pa.concat_tables(list(read_texts(look_at(path, names)))).to_pylist()


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([0, -7, None], pa.int8()), ["0", "-7", None]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([0.1, 1.0, -0.0, 1e20, 1e-7, 5e-324]), ["0.1", "1", "-0", "1e+20", "1e-7", "5e-324"]),
        (pa.array([float("nan"), float("inf"), float("-inf")]), ["nan", "inf", "-inf"]),
        (pa.array([0.1, 16777216.0], pa.float32()), ["0.1", "16777216"]),
        (pa.array(np.array([0.5], np.float16)), ["0.5"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array(["a", "", None, " 7", "NA", "\u200f", "😀"]), ["a", "", None, " 7", "NA", "\u200f", "😀"]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array(["a", None, "b", "a"]).dictionary_encode(), ["a", None, "b", "a"]),
        (pa.array([5, None]).dictionary_encode(), ["5", None]),
        (pa.array([Decimal("1.50"), Decimal("-0.01")], pa.decimal128(9, 2)), ["1.50", "-0.01"]),
        (pa.array([Decimal("12345678901234567890.5")], pa.decimal256(60, 1)), ["12345678901234567890.5"]),
        (pa.array([date(2024, 2, 29), date(1, 1, 1)]), ["2024-02-29", "0001-01-01"]),
        (pa.array([date(2024, 2, 29)], pa.date64()), ["2024-02-29"]),
        (pa.array([MOMENT, None], pa.timestamp("ms")), ["2024-07-02T03:04:05.25", None]),
        (pa.array([MOMENT], pa.timestamp("ns")), ["2024-07-02T03:04:05.25"]),
        (pa.array([datetime(2024, 7, 2)], pa.timestamp("us")), ["2024-07-02T00:00:00"]),
        (pa.array([MOMENT], pa.timestamp("us", "UTC")), ["2024-07-02T03:04:05.25Z"]),
        (pa.array([MOMENT], pa.timestamp("us", "America/New_York")), ["2024-07-02T03:04:05.25Z"]),
        (pa.array([datetime(2024, 7, 2, 3, tzinfo=timezone(timedelta(hours=2)))], pa.timestamp("s", "+02:00")),
         ["2024-07-02T01:00:00Z"]),
        (pa.array([time(3, 4, 5)], pa.time64("us")), ["03:04:05"]),
        (pa.nulls(2), [None, None]),
    ],
)  # fmt: skip
def test_each_value_is_one_text(tmp_path: Path, values: pa.Array, texts: list[str | None]) -> None:
    found = rows(written(tmp_path / "a.parquet", x=values), "x")
    assert [row["x"] for row in found] == texts


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([[1]]), "list<element: int64>"),
        (pa.array([{"a": 1}]), "struct<a: int64>"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), r"map<string, int64.*"),
        (pa.array([b"a"]), "binary"),
        (pa.array([b"ab"], pa.binary(2)), r"fixed_size_binary\[2\]"),
        (pa.array([timedelta(1)]), r"duration\[us\]"),
        (pa.array([uuid.UUID(int=1).bytes], pa.uuid()), r"extension<arrow\.uuid>"),
    ],
)
def test_a_column_without_a_text_is_refused_by_name_if_it_is_wanted(
    tmp_path: Path, values: pa.Array, kind: str
) -> None:
    path = written(tmp_path / "a.parquet", x=values, y=pa.array([1]))
    with pytest.raises(DataError, match=rf"a\.parquet: column 'x' is {kind}, which has no text; write it as a string"):
        look_at(path, ["y", "x"])
    assert [row["y"] for row in rows(path, "y")] == ["1"]


def test_an_extension_type_that_nobody_knows_here_is_refused_too(tmp_path: Path) -> None:
    field = pa.field("x", pa.string(), metadata={"ARROW:extension:name": "somebody.elses"})
    pq.write_table(pa.table([pa.array(["a"])], pa.schema([field])), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'x' is string, which has no text"):
        look_at(tmp_path / "a.parquet", ["x"])


def test_a_column_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["delay", "x", "x"]), path)
    assert look_at(path, ["dealy", "delay"]).kinds == {"delay": "a whole number"}
    with pytest.raises(DataError, match="2 columns 'x'; rename all but one"):
        look_at(path, ["x"])


def test_a_name_with_a_dot_is_a_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", **{"a.b": pa.array([1]), "a": pa.array([{"b": 2}]), "b": pa.array([3])})
    assert [row["a.b"] for row in rows(path, "a.b")] == ["1"]


@pytest.mark.parametrize(
    ("later", "kind"),
    [(pa.array(["1"]), "text"), (pa.array([1.0]), "a number of 64 bits"), (pa.array([True]), "true or false")],
)
def test_another_kind_of_column_in_a_later_file_is_an_error(tmp_path: Path, later: pa.Array, kind: str) -> None:
    first = look_at(written(tmp_path / "a.parquet", x=pa.array([1])), ["x"])
    other = look_at(written(tmp_path / "b.parquet", x=later), ["x"])
    with pytest.raises(DataError, match=rf"b\.parquet: column 'x' is {kind}, and in a\.parquet it is a whole number"):
        require_alike(first, other)


def test_what_gives_the_same_text_is_alike(tmp_path: Path) -> None:
    first = look_at(written(tmp_path / "a.parquet", x=pa.array([1], pa.int64()), y=pa.array(["a"])), ["x", "y"])
    others = [
        {"x": pa.array([1], pa.int16()), "y": pa.array(["a"]).dictionary_encode()},
        {"y": pa.array(["a"], pa.large_string()), "x": pa.nulls(1), "z": pa.array([[1]])},
    ]
    for number, columns in enumerate(others):
        require_alike(first, look_at(written(tmp_path / f"{number}.parquet", **columns), ["x", "y"]))


def test_a_file_that_is_cut_anywhere_is_no_parquet(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", x=pa.array(range(1000)))
    content = path.read_bytes()
    for size in (0, 3, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(
            DataError, match=r"a\.parquet: no Parquet file, or a damaged one: .*; write or fetch it again"
        ):
            look_at(path, ["x"])


def test_damage_in_the_values_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(range(10_000))}), path, write_page_checksum=True, use_dictionary=False)
    file = look_at(path, ["x"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="no Parquet file, or a damaged one"):
        list(read_texts(file))


def test_a_file_that_has_fewer_rows_than_it_said_is_told(tmp_path: Path) -> None:
    file = look_at(written(tmp_path / "a.parquet", x=pa.array([1, 2])), ["x"])
    written(tmp_path / "a.parquet", x=pa.array([1]))
    with pytest.raises(DataError, match="its footer says 2 rows, and 1 are there"):
        list(read_texts(file))


def test_a_file_that_is_not_there_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        look_at(tmp_path / "a.parquet", ["x"])


@pytest.mark.long
def test_large_values_are_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = ["x" * 10 * 2**20, *(str(number) + "y" * 2**20 for number in range(40))]
    pq.write_table(pa.table({"x": texts}), path, use_dictionary=False)
    sizes = [table.num_rows for table in read_texts(look_at(path, ["x"]))]
    assert sum(sizes) == len(texts)
    assert max(sizes) < len(texts)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False))))
def test_a_number_comes_back_from_its_text_to_the_bit(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = written(tmp_path_factory.mktemp("n") / "a.parquet", x=pa.array(values, pa.float64()))
    tables = list(read_texts(look_at(path, ["x"])))
    texts = [text for table in tables for text in table["x"].to_pylist()]
    back = [None if text is None else float(text) for text in texts]
    assert np.array(back, np.float64).tobytes() == np.array(values, np.float64).tobytes()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_the_zone_of_the_machine_says_nothing(tmp_path: Path, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time as clock

    path = written(
        tmp_path / "a.parquet",
        x=pa.array([MOMENT], pa.timestamp("us")),
        y=pa.array([MOMENT], pa.timestamp("us", "UTC")),
    )
    try:
        monkeypatch.setitem(os.environ, "TZ", zone)
        clock.tzset()
        [row] = rows(path, "x", "y")
    finally:
        monkeypatch.undo()
        clock.tzset()
    assert (row["x"], row["y"]) == ("2024-07-02T03:04:05.25", "2024-07-02T03:04:05.25Z")
