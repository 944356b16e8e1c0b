"""Reads delimited text piece by piece, and finds the records of each: at once where they are plain, else one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.data.csv_records import LARGE, Found, Numbers, One, Rules, one_record, records
from pipeline.data.delimited_files import Stream

_SMALLEST_WINDOW = 2**14  # bytes in which is looked for records at once, after one that was not plain
_LARGEST_WINDOW = 2**18  # bytes: what is made of them stays in a processor's cache
_MANY = 64  # records that are worth looking for at once
_MOST_ALONE = 512  # records that are read one by one before they are looked for at once again
_KEPT_BYTES = 101  # of a line without an end in sight


class Piece(NamedTuple):
    """Records that stand next to each other in some bytes: where each begins, where its text ends, and its code."""

    content: bytes
    begins: Numbers
    ends: Numbers
    codes: npt.NDArray[np.int8]
    end: int


def pieces(stream: Stream, rules: Rules, piece_bytes: int) -> Iterator[Piece]:
    """Yield a stream's records in their order, `piece_bytes` at a time, or a record where that is longer."""
    content, is_all = b"", False
    while True:
        gathered = _Gathered()
        end, endless = _gather(gathered, content, rules, is_all)
        yield from gathered.pieces(content, end)
        if endless is not None:
            yield _longest(content, end, endless.end)
            content, is_all = _behind_line(stream, content[end:], is_all, piece_bytes)
        elif is_all:
            return
        else:
            more = stream.read(piece_bytes)
            content, is_all = content[end:] + more, len(more) < piece_bytes
        if is_all and content and not content.endswith(b"\n"):
            content += b"\n"


def _gather(gathered: _Gathered, content: bytes, rules: Rules, is_all: bool) -> tuple[int, One | None]:
    """Gather all records that some content holds to their end; return where the next begins.

    With it comes the line that begins there, if its end is too far away. Where records that are not plain stand close
    together, more and more of them are read one by one.
    """
    array = np.frombuffer(content, np.uint8)
    begin, window, alone = 0, _LARGEST_WINDOW, 1
    while begin < len(content):
        found = records(array[begin : begin + window], rules)
        gathered.add_all(found, begin)
        is_cut = begin + window < len(content)
        begin += found.next
        if is_cut and not found.is_stuck:
            window = min(2 * window, _LARGEST_WINDOW) if found.next else 2 * window
            continue
        alone = 1 if len(found.codes) >= _MANY else min(2 * alone, _MOST_ALONE)
        for _ in range(alone):
            one = one_record(content, begin, rules, is_all) if begin < len(content) else None
            if one is None or one.next < 0:
                return begin, one
            gathered.add(begin, one)
            begin = one.next
        window = _SMALLEST_WINDOW
    return begin, None


class _Gathered:
    """Records in their order, as they are found: many at once, or one by one."""

    def __init__(self) -> None:
        self._parts: list[tuple[Numbers, Numbers, npt.NDArray[np.int8]]] = []
        self._alone: list[tuple[int, int, int]] = []

    def add(self, begin: int, one: One) -> None:
        self._alone.append((begin, one.end, one.code))

    def add_all(self, found: Found, begin: int) -> None:
        self._settle()
        self._parts.append((found.begins + begin, found.ends + begin, found.codes))

    def pieces(self, content: bytes, end: int) -> Iterator[Piece]:
        """Yield them as a piece, if there are any."""
        self._settle()
        if any(len(codes) for _, _, codes in self._parts):
            begins, ends, codes = (np.concatenate(each) for each in zip(*self._parts, strict=True))
            yield Piece(content, begins, ends, codes, end)

    def _settle(self) -> None:
        if self._alone:
            begins, ends, codes = np.array(self._alone, np.int64).T
            self._parts.append((begins, ends, codes.astype(np.int8)))
            self._alone = []


def _longest(content: bytes, begin: int, end: int) -> Piece:
    """Return a line that is too long as a piece of its own: of its bytes only the first are kept."""
    head = content[begin : min(end, begin + _KEPT_BYTES)]
    return Piece(head, np.array([0]), np.array([len(head)]), np.array([LARGE], np.int8), len(head))


def _behind_line(stream: Stream, content: bytes, is_all: bool, piece_bytes: int) -> tuple[bytes, bool]:
    """Return what comes after the line in which some content begins, and whether it is all."""
    while (feed := content.find(b"\n")) < 0:
        if is_all:
            return b"", True
        content = stream.read(piece_bytes)
        is_all = len(content) < piece_bytes
    return content[feed + 1 :], is_all
