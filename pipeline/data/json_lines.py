"""Reads JSON lines (RFC 8259, one object a line) as text: every value as it stands in the file.

A number keeps its literal, as a float would change it; true and false are their words, null is missing. The bytes are
not trusted: a line that is no object, or that could be read in two ways, comes with its problem, and the others stay.
Which lines those are depends on nothing that is asked for, but for a list or an object in a column that is.

pyarrow's reader is five times as fast, and gives no literals, no line numbers and the whole file for one bad line.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

from pipeline.data.file_reading import Problem
from pipeline.data.problems import BAD_BYTES, BAD_LINE, EMPTY, HOLDS_NUL, LINE_TOO_LONG, NO_TEXT

DEEPEST = 64  # lists and objects in each other
_PIECE_BYTES = 2**20
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)
_ESCAPED = b"\\u"  # without one, a text that was UTF-8 has no surrogate, and a string no NUL character
_TEXTS = {str, type(None)}
_SHOWN = 60  # characters of what is told in a detail


class Row(NamedTuple):
    """One line: its number, from 1, its size, and its fields, or why it has none."""

    number: int
    size_bytes: int
    fields: Mapping[str, Any]
    problem: Problem | None = None


def read_lines(stream: BinaryIO, longest_bytes: int) -> Iterator[Row]:
    """Yield a row for each line of a file; of a line above `longest_bytes`, no more than that is held."""
    number = 0
    while line := stream.readline(longest_bytes + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > longest_bytes and not line.endswith(b"\n"):
            size_bytes = len(line) + _rest_of_line(stream)
            yield Row(number, 0, {}, (LINE_TOO_LONG, f"{size_bytes} bytes, at most {longest_bytes} are read"))
        else:
            yield _row(number, line.rstrip(b"\r\n"))


def texts(row: Row, names: Sequence[str]) -> list[str | None] | Problem:
    """Return the values of a row's fields as text, None for a missing one; or why one of them has none."""
    values = list(map(row.fields.get, names))
    if not _TEXTS.issuperset(map(type, values)):
        for place, value in enumerate(values):
            if isinstance(value, bool):
                values[place] = "true" if value else "false"
            elif isinstance(value, dict | list):
                return NO_TEXT, f"{names[place]!r:.80}: {'an object' if isinstance(value, dict) else 'a list'}"
    return values


def _rest_of_line(stream: BinaryIO) -> int:
    size_bytes = 0
    while piece := stream.readline(_PIECE_BYTES):
        size_bytes += len(piece)
        if piece.endswith(b"\n"):
            break
    return size_bytes


def _row(number: int, line: bytes) -> Row:
    try:
        fields = _object(line)
    except _Refused as refused:
        return Row(number, 0, {}, (refused.problem, refused.detail))
    return Row(number, len(line), fields)


class _Refused(Exception):
    """A line of which no object can be had."""

    def __init__(self, problem: str, detail: str | None) -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


def _object(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise _Refused(EMPTY, "blank line")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(BAD_BYTES, f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}") from None
    if b"\0" in line:
        raise _Refused(HOLDS_NUL, f"byte {line.index(0) + 1} of the line")
    if text.startswith("\ufeff"):
        raise _Refused(BAD_LINE, "a byte order mark that does not begin the file")
    if _depth_above(line, DEEPEST):
        raise _Refused(BAD_LINE, f"lists or objects more than {DEEPEST} deep in each other")
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        raise _Refused(BAD_LINE, f"{error.msg}, character {error.pos + 1} of the line") from None
    except ValueError as error:  # of the two functions below
        raise _Refused(BAD_LINE, str(error)) from None
    if not isinstance(value, dict):
        raise _Refused(BAD_LINE, f"no object: {text.strip()[:_SHOWN]!r}")
    if _ESCAPED in line:
        _require_characters(value)
    return value


def _decoded(text: str) -> Any:
    """Return a text's value: the whole text's, without a search for blanks around it, where there are none."""
    if text[0] == "{":
        value, end = _DECODER.raw_decode(text)
        if end == len(text):
            return value
    return _DECODER.decode(text)


def _depth_above(line: bytes, limit: int) -> bool:
    """Return whether more than `limit` lists and objects are open at once, before anything walks into them."""
    if line.count(b"[") + line.count(b"{") <= limit:
        return False
    depth = 0
    for byte in _STRING.sub(b"", line):
        if byte in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in times if times[name] > 1)
        raise ValueError(f"field {twice[:_SHOWN]!r} is there twice")
    return fields


def _no_number(literal: str) -> Any:
    raise ValueError(f"{literal} is no number of JSON")


_DECODER = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=_no_number, object_pairs_hook=_once_each, strict=True
)


def _require_characters(value: Any) -> None:
    """Refuse what an escape may put into a string, and no text has: half of a pair of surrogates, and NUL."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if "\0" in each:
                raise _Refused(HOLDS_NUL, r"the escape \u0000")
            if not each.isascii():
                _require_unicode(each)
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            waiting += each


def _require_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Refused(BAD_LINE, f"the escape \\u{ord(text[error.start]):04x} is half a character") from None
