"""Parquet as a source: what the footers say before anything is read, and rows as every table has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.source_rows import NothingThere, Source
from pipeline.data.sources import parquet
from pipeline.data.sources.parquet import Settings
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.errors import DataError
from pipeline.recipe.recipe import Roles

WANTED = Wanted(("no", "yes"), (WantedFeature("size", "number", "size"), WantedFeature("kind", "category", "sort")))


def write(path: Path, size: Any = (1.5, None, float("nan")), **columns: Any) -> Path:
    count = len(size)
    complete = {"size": size, "sort": ["a"] * count, "label": ["yes"] * count, **columns}
    pq.write_table(pa.table({name: values for name, values in complete.items() if values is not None}), path)
    return path


def opened(folder: Path, wanted: Wanted = WANTED, **settings: Any) -> Source:
    complete = {"target": "label", "known_at": {"before": ["size", "sort"]}, **settings}
    return parquet.open_source(Settings.model_validate(complete), folder, wanted)


def rows(folder: Path, wanted: Wanted = WANTED, **settings: Any) -> list[dict[str, Any]]:
    return pa.concat_tables(list(opened(folder, wanted, **settings).tables)).to_pylist()


def test_each_row_of_each_file_is_a_row_with_its_number(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet")
    write(tmp_path / "a.parquet", [7], sort=pa.array(["é"]).dictionary_encode(), more=[[1]])
    (tmp_path / "_SUCCESS").write_text("")
    write(tmp_path / "c.parquet", [0.1], label=[None])
    pq.write_table(pa.table({"size": [1.0]}), tmp_path / "unread.pq")
    with pytest.raises(
        DataError, match=r"column 'size' is a number of 64 bits, and in a\.parquet it is a whole number"
    ):
        opened(tmp_path)
    (tmp_path / "a.parquet").unlink()
    assert (opened(tmp_path).rows, opened(tmp_path).test_rows) == (4, 0)
    found = [(row["source"], row["row"], row["label"], row["size"], row["kind"]) for row in rows(tmp_path)]
    assert found == [
        ("b.parquet", 1, 1, "1.5", "a"),
        ("b.parquet", 2, 1, None, "a"),
        ("b.parquet", 3, 1, "nan", "a"),
        ("c.parquet", 1, None, "0.1", "a"),
    ]


def test_numbers_of_rows_go_on_behind_the_first_piece(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [float(number) for number in range(10_000)])
    found = rows(tmp_path)
    assert [(row["row"], row["size"]) for row in found] == [(number + 1, str(number)) for number in range(10_000)]


def strings(*values: bytes) -> pa.Array:
    """Return strings whose bytes nobody has looked at."""
    held = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(held), held.buffers())


def test_a_string_that_is_no_text_is_its_row_s_problem(tmp_path: Path) -> None:
    sort = strings(b"good", b"\xff", b"a\0b", b"\xed\xa0\x80", b"\xc3\xa9")
    write(tmp_path / "a.parquet", [1.0] * 5, sort=sort)
    assert [(row["kind"], row["problem"], row["detail"]) for row in rows(tmp_path)] == [
        ("good", None, None),
        (None, "bytes that are no text", "in column 'sort'"),
        (None, "holds a NUL character", "in column 'sort'"),
        (None, "bytes that are no text", "in column 'sort'"),
        ("é", None, None),
    ]


def test_moments_are_times_of_rows_whatever_their_unit_and_zone(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    moments = [datetime(2024, 7, 2, 3, 4, 5, 250_000)]
    wanted = WANTED._replace(roles=Roles(time="at"))
    for kind in (pa.timestamp("ms", "UTC"), pa.timestamp("ns", "Asia/Kathmandu")):
        write(tmp_path / "a.parquet", [1.0], at=pa.array(moments, kind))
        assert [row["time"] for row in rows(tmp_path, wanted)] == [datetime(2024, 7, 2, 3, 4, 5, 250_000, UTC)]
    write(tmp_path / "a.parquet", [1.0], at=pa.array(moments))
    assert [row["problem"] for row in rows(tmp_path, wanted)] == ["time without a zone"]
    [row] = rows(tmp_path, wanted, time={"zone": "Europe/Berlin"})
    assert row["time"] == datetime(2024, 7, 2, 1, 4, 5, 250_000, UTC)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"sort": None}, r"b\.parquet: has no column 'sort', which data\.features\.kind names \(did you mean 'srot'"),
        ({"sort": [1]}, r"b\.parquet: column 'sort' is a whole number, and in a\.parquet it is text; write both alike"),
        ({"sort": [["a"]]}, r"b\.parquet: column 'sort' is list<element: string>, which has no text"),
        ({"label": [b"yes"]}, r"b\.parquet: column 'label' is binary, which has no text"),
    ],
)
def test_another_schema_in_a_later_file_ends_the_run_before_anything_is_read(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", [1.0], srot=["a"], **columns)
    with pytest.raises(DataError, match=said):
        opened(tmp_path)


def test_a_truncated_footer_ends_the_run_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    path = write(tmp_path / "b.parquet")
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(DataError, match=r"b\.parquet: no Parquet file, or a damaged one"):
        opened(tmp_path)


def test_a_folder_without_a_file_or_a_row_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingThere, match=r"holds no file like \*\.parquet"):
        opened(tmp_path)
    write(tmp_path / "a.parquet", pa.array([], pa.float64()))
    with pytest.raises(NothingThere, match="no row in 1 Parquet files"):
        opened(tmp_path)


def test_it_recognises_its_files(tmp_path: Path) -> None:
    assert parquet.recognise(tmp_path) is None
    path = write(tmp_path / "a.parquet")
    assert (parquet.recognise(tmp_path), parquet.recognise(path)) == ({}, {})
