"""Finds the dialect of a file of delimited text, from its first lines: for a draft that a person looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.data.csv_records import FINE, Rules, one_record
from pipeline.data.delimited_files import Bounds, opened
from pipeline.errors import RatchetError

_LOOKED_AT_BYTES = 2**20
_RECORDS = 100
_DELIMITERS = ",;\t|"
_QUOTE = ord('"')
_BOM = b"\xef\xbb\xbf"


def dialect_of(path: Path) -> dict[str, Any] | None:
    """Return the settings of a dialect in which the first records have the same number of values; None if none has.

    Of several delimiters, the one with the most values.
    """
    try:
        with opened(path, path.name, Bounds(_LOOKED_AT_BYTES, "", 1_000_000)) as stream:
            content = stream.read(_LOOKED_AT_BYTES)
    except RatchetError:
        return None
    is_all = len(content) < _LOOKED_AT_BYTES
    content = content.removeprefix(_BOM)
    if is_all and not content.endswith(b"\n"):
        content += b"\n"
    widths = {sign: _width(content, Rules(ord(sign), _QUOTE, None, 2**16), is_all) for sign in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda sign: widths[sign])
    if widths[delimiter] < 2 or b"\0" in content:
        return None
    found: dict[str, Any] = {} if delimiter == "," else {"delimiter": delimiter}
    try:
        content[: content.rfind(b"\n")].decode()
    except UnicodeDecodeError:
        found["encoding"] = "cp1252"
    return found


def _width(content: bytes, rules: Rules, is_all: bool) -> int:
    """Return how many values each of the first records has; 0 if they differ."""
    begin, widths = 0, set()
    for _ in range(_RECORDS):
        if begin >= len(content):
            break
        one = one_record(content, begin, rules, is_all)
        if one is None:
            break
        if one.code != FINE or one.next < 0:
            return 0
        widths.add(one.values)
        begin = one.next
    return widths.pop() if len(widths) == 1 else 0
