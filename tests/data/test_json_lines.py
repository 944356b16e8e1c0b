"""JSON lines as text: literals stay, a line that cannot be had comes with its problem, and no other one suffers."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.json_lines import DEEPEST, Row, read_lines, texts


def read(content: bytes, longest_bytes: int = 2**16) -> list[Row]:
    return list(read_lines(io.BytesIO(content), longest_bytes))


def values(line: str) -> Any:
    [row] = read(line.encode())
    return row.problem or texts(row, ["a"])


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("0.10", "0.10"), ("1e5", "1e5"), ("-0.0", "-0.0"), ("-0", "-0"), ("1E400", "1E400"),
        ("123456789012345678901234567890", "123456789012345678901234567890"), ("9" * 5000, "9" * 5000),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("true", "true"), ("false", "false"), ("null", None), ('"null"', "null"), ('"NA"', "NA"), ('"None"', "None"),
        ('""', ""), ('" 12 "', " 12 "), ('"007"', "007"), ('"NaN"', "NaN"), (r'"a\n\u00e9"', "a\né"),
        (r'"\ud83d\ude00"', "😀"), ('"\u200f\u05d0\u200b"', "\u200f\u05d0\u200b"), (r'"\\u0000"', r"\u0000"),
        ('"=cmd|\'/c calc\'!A0"', "=cmd|'/c calc'!A0"),
    ],
)  # fmt: skip
def test_a_value_is_the_text_that_stands_in_the_file(written: str, text: str | None) -> None:
    assert values(f'{{"a": {written}, "b": 1}}') == [text]


def test_a_field_that_is_not_there_is_missing() -> None:
    assert values('{"b": 1}') == [None]
    assert values("{}") == [None]


@pytest.mark.parametrize(
    ("line", "problem", "detail"),
    [
        (b'{"a": NaN}', "line cannot be understood", "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "line cannot be understood", "-Infinity is no number of JSON"),
        (b'{"a": 1, "a": 2}', "line cannot be understood", "field 'a' is there twice"),
        (b'{"b": {"c": 1, "c": 1}}', "line cannot be understood", "field 'c' is there twice"),
        (b'{"a": 01}', "line cannot be understood", "Expecting ',' delimiter, character 8 of the line"),
        (b'{"a": 1', "line cannot be understood", "Expecting ',' delimiter, character 8 of the line"),
        (b"{'a': 1}", "line cannot be understood",
         "Expecting property name enclosed in double quotes, character 2 of the line"),
        (b'{"a": "x\ty"}', "line cannot be understood", "Invalid control character at, character 9 of the line"),
        (b'{"a": 1} {"a": 2}', "line cannot be understood", "Extra data, character 10 of the line"),
        (b"[1, 2]", "line cannot be understood", "no object: '[1, 2]'"),
        (b"7", "line cannot be understood", "no object: '7'"),
        (b"a,b,c", "line cannot be understood", "Expecting value, character 1 of the line"),
        (rb'{"a": "x\ud800"}', "line cannot be understood", r"the escape \ud800 is half a character"),
        (rb'{"\udfff": 1}', "line cannot be understood", r"the escape \udfff is half a character"),
        (rb'{"b": [{"c": "\u0000"}]}', "holds a NUL character", r"the escape \u0000"),
        (b'{"a": "\0"}', "holds a NUL character", "byte 8 of the line"),
        (b'{"a": "\xe9"}', "bytes that are no text", "byte 8 of the line is 0xe9"),
        (b'{"a": "\xed\xa0\x80"}', "bytes that are no text", "byte 8 of the line is 0xed"),
        (b"   ", "empty", "blank line"),
        (b'{"a": [1]}', "value that has no text", "'a': a list"),
        (b'{"a": {"b": 1}}', "value that has no text", "'a': an object"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_had_comes_with_its_problem_and_the_others_stay(
    line: bytes, problem: str, detail: str
) -> None:
    before, row, after = read(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    found = row.problem or texts(row, ["a"])
    assert found == (problem, detail)
    assert [before.number, row.number, after.number] == [1, 2, 3]
    assert [texts(before, ["a"]), texts(after, ["a"])] == [["1"], ["3"]]


def test_a_list_in_a_column_that_nobody_wants_is_no_problem() -> None:
    [row] = read(b'{"a": 1, "b": [1, {"c": 2}]}')
    assert texts(row, ["a"]) == ["1"]


def nested(depth: int) -> bytes:
    return b'{"a": 1, "b": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}\n"


def test_nothing_walks_into_a_line_that_is_nested_too_deeply() -> None:
    good, bad, deepest, text = read(
        nested(DEEPEST) + nested(DEEPEST + 1) + nested(30_000) + json.dumps({"a": '\\"[{' * 1000}).encode()
    )
    assert good.problem is None
    deep = ("line cannot be understood", f"lists or objects more than {DEEPEST} deep in each other")
    assert [bad.problem, deepest.problem] == [deep, deep]
    assert texts(text, ["a"]) == ['\\"[{' * 1000]


@pytest.mark.parametrize("size", [100, 2**20 + 5, 3 * 2**20])
def test_a_line_above_the_limit_is_passed_over(size: int) -> None:
    long = b'{"a": "' + b"x" * size + b'"}'
    first, row, last = read(b'{"a": 1}\n' + long + b"\n" + b'{"a": 2}', longest_bytes=50)
    assert row.problem == ("line too long", f"{len(long) + 1} bytes, at most 50 are read")
    assert [texts(first, ["a"]), texts(last, ["a"]), last.number] == [["1"], ["2"], 3]


def test_a_line_as_long_as_the_limit_is_read() -> None:
    line = b'{"a": "xyz"}'
    for content in (line, line + b"\n", line + b"\r\n"):
        assert read(content, longest_bytes=len(content.rstrip(b"\n")))[0].problem is None
    assert read(line, longest_bytes=len(line) - 1)[0].problem is not None


def test_a_byte_order_mark_is_one_at_the_beginning_only() -> None:
    mark = b"\xef\xbb\xbf"
    first, second = read(mark + b'{"a": 1}\n' + mark + b'{"a": 2}\n')
    assert texts(first, ["a"]) == ["1"]
    assert second.problem == ("line cannot be understood", "a byte order mark that does not begin the file")
    assert {row.problem[0] for row in read('{"a": 1}\n'.encode("utf-16")) if row.problem} == {
        "bytes that are no text",
        "holds a NUL character",
    }


def test_a_file_without_a_line_has_no_rows() -> None:
    assert read(b"") == []


def test_ten_mebibytes_in_one_value() -> None:
    [row] = read(json.dumps({"a": "x" * (10 * 2**20)}).encode(), longest_bytes=16 * 2**20)
    [value] = texts(row, ["a"])
    assert value is not None
    assert len(value) == 10 * 2**20


@given(st.binary(max_size=200))
def test_every_line_is_a_row_whatever_it_holds(content: bytes) -> None:
    rows = read(content, longest_bytes=20)
    lines = content.split(b"\n")
    assert len(rows) == len(lines) - (lines[-1] == b"")
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert all(row.problem is not None or isinstance(row.fields, dict) for row in rows)


@given(st.dictionaries(st.text(), st.text()))
def test_strings_come_back_as_they_were(fields: dict[str, str]) -> None:
    [row] = read(json.dumps(fields).encode())
    if any("\0" in text for pair in fields.items() for text in pair):
        assert row.problem is not None
    else:
        assert texts(row, list(fields)) == list(fields.values())
