"""Delimited text as texts: every record is a row, and what is bad about it does not depend on what is asked for."""

from __future__ import annotations

import csv
import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.data import csv_blocks
from pipeline.data.csv_blocks import OpenedCsv
from pipeline.data.delimited_files import Bounds
from pipeline.data.problems import (
    BAD_BYTES,
    BAD_QUOTES,
    BARE_RETURN,
    HOLDS_NUL,
    VALUE_TOO_LARGE,
    WRONG_COLUMNS,
)
from pipeline.errors import DataError
from pipeline.recipe.table_source import Dialect
from tests.data.csv_files import BOUNDS, opened, records, write

VALUES = st.text(st.sampled_from('a1,"\r\n é\ufeff=|\u202e\u200b'), max_size=5)
ROWS = st.integers(1, 4).flatmap(lambda columns: st.lists(st.lists(VALUES, min_size=columns, max_size=columns)))
ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def texts(found: list[dict[str, Any]]) -> list[list[str]]:
    return [[value for name, value in row.items() if not name.startswith("(")] for row in found]


def fates(found: list[dict[str, Any]]) -> list[str | None]:
    assert [row["(row)"] for row in found] == list(range(1, len(found) + 1))
    return [row["(problem)"] for row in found]


@ANY_FOLDER
@given(ROWS, st.sampled_from([";", ",", "\t"]), st.integers(1, 40), st.booleans())
@example([["\ufeffa"], [""]], ",", 1, False)
def test_every_value_is_what_a_writer_has_written(
    tmp_path: Path, rows: list[list[str]], delimiter: str, piece_bytes: int, packed: bool
) -> None:
    names = [f"c{place}" for place in range(len(rows[0]) if rows else 1)]
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows, names])
    content = written.getvalue().encode()
    path = write(tmp_path / f"a.csv{'.gz' if packed else ''}", gzip.compress(content) if packed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "PIECE_BYTES", piece_bytes)
        found = records(path, delimiter=delimiter)
    assert texts(found) == [*rows, names]
    assert fates(found) == [None] * (len(rows) + 1)


LINES = st.lists(
    st.sampled_from(
        [b"a,b", b'"a\nb",c', b'"a', b"a", b"a,\xff", b"\0,a", b"\xc3\xa9,b", b'a,5"', b"", b"a,b\r", b"a\rb,c"]
    )
)


@pytest.mark.long
@ANY_FOLDER
@given(LINES, st.integers(1, 40), st.sampled_from(["utf-8", "latin-1", "cp1252"]))
def test_which_rows_are_bad_does_not_depend_on_the_columns_or_on_the_pieces(
    tmp_path: Path, lines: list[bytes], piece_bytes: int, encoding: str
) -> None:
    path = write(tmp_path / "a.csv", b"\n".join([b"x,y", *lines, b"end,end", b""]))
    whole = records(path, encoding=encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "PIECE_BYTES", piece_bytes)
        for columns in (["x", "y"], ["y"], []):
            found = records(path, columns, encoding=encoding)
            told = [{name: row[name] for name in ("(row)", "(problem)", "(detail)", *columns)} for row in found]
            assert told == [{name: row[name] for name in told[0]} for row in whole]
    assert all((row["x"] is None) == (row["(problem)"] is not None) for row in whole)


def test_each_bad_line_has_its_problem_and_shows_its_begin(tmp_path: Path) -> None:
    lines = [b"x,y", b"a,b", b"a,b,c", b"", b'"a,b', b"a,b\0\x1b", b"a,\xff\xfe", b"a\rb,c", b"a," + b"y" * 11,
             b"a,\xed\xa0\x80", b"=cmd|' /C calc'!A0,-0.0"]  # fmt: skip
    found = records(write(tmp_path / "a.csv", b"\n".join(lines)), largest_cell_bytes=10)
    assert fates(found) == [None, WRONG_COLUMNS, WRONG_COLUMNS, BAD_QUOTES, HOLDS_NUL, BAD_BYTES, BARE_RETURN,
                            VALUE_TOO_LARGE, BAD_BYTES, VALUE_TOO_LARGE]  # fmt: skip
    assert [row["(detail)"] for row in found][1:9] == [
        "3 in place of 2: a,b,c", "0 in place of 2: ", '"a,b', "a,b\\x00\\x1b", "a,\\xff\\xfe", "a\\rb,c",
        "a,yyyyyyyyyyy", "a,\\xed\\xa0\\x80",
    ]  # fmt: skip


@pytest.mark.long
def test_ten_megabytes_in_a_value_are_one_bad_row(tmp_path: Path) -> None:
    for large in (b"x" * 10_000_000, b'"' + b"x\n" * 5_000_000 + b'"', b"x" * 40_000_000):
        path = write(tmp_path / "a.csv", b"x,y\na,b\n" + large + b",c\nd,e\n")
        found = records(path)
        assert fates(found) == [None, VALUE_TOO_LARGE, None]
        assert (found[2]["x"], found[2]["y"]) == ("d", "e")
        assert len(found[1]["(detail)"]) < 300


@pytest.mark.long
def test_one_wrong_line_at_the_end_of_a_million_is_that_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"x,y\n" + b"1,2\n" * 999_999 + b"1,2,3\n")
    assert [row["(row)"] for row in records(path, ["x"]) if row["(problem)"]] == [1_000_000]


def test_a_byte_order_mark_is_passed_over_at_the_begin_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeffx,y\n\ufeffa,b\n")
    assert opened(path).names == ["x", "y"]
    assert records(path)[0]["x"] == "\ufeffa"
    assert records(write(path, "\ufeffa,b\n"), header=["x", "y"])[0]["x"] == "a"


def test_declared_encodings_are_read_as_declared(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n€,é\n".encode("cp1252") + b"\x81,a\n")
    found = records(path, encoding="cp1252")
    assert (found[0]["x"], found[0]["y"], found[1]["(problem)"]) == ("€", "é", BAD_BYTES)
    assert fates(records(path, encoding="utf-8")) == [BAD_BYTES, BAD_BYTES]
    assert records(path, encoding="latin-1")[0]["x"] == "\x80"


def test_without_quotes_a_quote_is_a_character(tmp_path: Path) -> None:
    assert texts(records(write(tmp_path / "a.csv", 'x,y\n5" pipe,"\n'), quote=None)) == [['5" pipe', '"']]


def test_names_may_be_declared_where_there_is_no_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "1,2\n3,4")
    assert texts(records(path, header=["a", "b"])) == [["1", "2"], ["3", "4"]]


@pytest.mark.parametrize(
    ("content", "dialect", "said"),
    [
        ("", {}, "is empty"),
        ("\ufeff", {}, "is empty"),
        ("x,y\n", {}, "has a header and no rows"),
        ("x,y", {}, "has a header and no rows"),
        ("\n1,2\n", {}, "its first line, which names the columns, is empty"),
        ("x,y,x\n1,2,3\n", {}, "two columns are called 'x'"),
        ("1,2,1\n1,2,3\n", {}, "name all in header"),
        ('"x,y\n1,2\n', {}, "its header cannot be read"),
        ("x\0,y\n1,2\n", {}, "its header holds a zero byte"),
        (b"x\xff,y\n1,2\n", {}, "its header cannot be read"),
        ("x,y\n1,2\n".encode("utf-16"), {}, "UTF-16"),
        ("x,y\n1,2\n", {"header": ["x", "y"]}, "set header: true"),
    ],
)  # fmt: skip
def test_a_file_without_a_usable_header_or_rows_is_refused_by_name(
    tmp_path: Path, content: str | bytes, dialect: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=f"^a.csv: .*{said}"):
        opened(write(tmp_path / "a.csv", content), **dialect)


def test_what_may_be_wrong_with_a_header_is_said(tmp_path: Path) -> None:
    assert "looks like a row" in opened(write(tmp_path / "a.csv", "UA,12\nAA,13\n")).doubt
    assert "is its delimiter ';'?" in opened(write(tmp_path / "a.csv", "x;y\n1;2\n")).doubt
    assert opened(write(tmp_path / "a.csv", "x,y\n1,2\n")).doubt == ""


def test_a_file_that_changes_between_header_and_rows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n1,2\n")
    file = opened(path)
    os.utime(path, (1, 1))
    with pytest.raises(DataError, match=r"a\.csv: changed while it was read"):
        list(file.blocks(["x"]))


def test_a_file_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 10_000)
    path = write(tmp_path / "a.csv", b"x,y\n" + b"1,2\n" * 30_000)
    sizes = [block.table.num_rows for block in OpenedCsv(path, "a.csv", Dialect(), BOUNDS).blocks(["x"])]
    assert sum(sizes) == 30_000
    assert max(sizes) <= 10_000 // 4 + 1


def test_a_gzip_bomb_ends_early(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv.gz", gzip.compress(b"x,y\n" + b"1,2\n" * 1_000_000))
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        list(OpenedCsv(path, "a.csv.gz", Dialect(), Bounds(2**40, "", 200)).blocks(["x"]))
