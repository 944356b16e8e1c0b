"""Where the records of delimited text begin and end, and which of them are none: RFC 4180 to the letter, on bytes.

`one_record` says what a record is. `records` finds many at once, by arithmetic over all bytes of a piece, and stops
before whatever is not plain, which `one_record` then judges: both always agree, so how a file is cut makes no
difference.

A value in quotes begins with one right after the delimiter or the line's begin, and ends with one right before the
next; inside, a quote is doubled. A line ends with a line feed, with or without a carriage return before it. Where a
quote stands elsewhere, where one does not close within the longest record, or where quotes lead over several lines to
another number of values, the line in which the record began is a row with a problem, and the next line begins anew: so
one forgotten quote spoils one row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.data.problems import BAD_BYTES, BAD_QUOTES, BARE_RETURN, HOLDS_NUL, VALUE_TOO_LARGE, WRONG_COLUMNS

Numbers = npt.NDArray[np.int64]
CODES = (None, WRONG_COLUMNS, BAD_QUOTES, BARE_RETURN, VALUE_TOO_LARGE, HOLDS_NUL, BAD_BYTES)
FINE, WRONG, QUOTES, RETURN, LARGE, NUL, BYTES = range(len(CODES))
_LONGEST = 16  # largest values, that a record may be long
_LF, _CR = 10, 13


@dataclass(frozen=True)
class Rules:
    """A dialect, on bytes: `columns` values a record (None: any number), each of `largest_cell` bytes at most."""

    delimiter: int
    quote: int | None
    columns: int | None
    largest_cell: int

    @property
    def longest(self) -> int:
        """Bytes that a record may be long."""
        return _LONGEST * self.largest_cell

    @cached_property
    def stops(self) -> re.Pattern[bytes]:
        """What ends a value without quotes, or may not stand in one."""
        signs = bytes([self.delimiter, _LF, _CR, *([] if self.quote is None else [self.quote])])
        return re.compile(b"[" + re.escape(signs) + b"]")


class One(NamedTuple):
    """A record: where its text ends, where the next begins, its code, and how many values it has, where that is known.

    `next` is below 0 for a line whose end is too far away to be seen.
    """

    end: int
    next: int
    code: int
    values: int = 0


class Found(NamedTuple):
    """Records next to each other, `[record]`: where their texts begin and end, and their codes.

    `next` is where the one after them begins; `is_stuck` says that it has to be read on its own.
    """

    begins: Numbers
    ends: Numbers
    codes: npt.NDArray[np.int8]
    next: int
    is_stuck: bool


def one_record(content: bytes, begin: int, rules: Rules, is_all: bool) -> One | None:
    """Return the record that begins at a place; None if that cannot be told without more content.

    `is_all` says that nothing comes after the content, which then ends with a line feed.
    """
    horizon = min(len(content), begin + rules.longest)
    sees_all = is_all or len(content) >= begin + rules.longest + 2
    place, values, largest = begin, 1, 0
    while True:
        if place < horizon and content[place] == rules.quote:
            stop = _closing(content, place, horizon, rules.quote)
        else:
            match = rules.stops.search(content, place, horizon)
            stop = match.start() if match else -1
            if stop >= 0 and content[stop] == rules.quote:
                return _first_line(content, begin, horizon, QUOTES, sees_all)
        if stop < 0 and not sees_all:
            return None
        if stop < 0:
            is_open = place < horizon and content[place] == rules.quote
            return _first_line(content, begin, horizon, QUOTES if is_open else LARGE, sees_all)
        if stop + 1 >= len(content) and not is_all:
            return None
        largest = max(largest, stop - place)
        line_end = _line_end(content, stop)
        if line_end:
            return _judged(content, begin, stop, line_end, values, largest, rules, horizon, sees_all)
        if content[stop] != rules.delimiter:
            code = RETURN if content[stop] == _CR and content[place] != rules.quote else QUOTES
            return _first_line(content, begin, horizon, code, sees_all)
        place, values = stop + 1, values + 1


def _closing(content: bytes, place: int, horizon: int, quote: int) -> int:
    """Return the place after the quote that closes the one at `place`; -1 if none is seen to."""
    sign = bytes([quote])
    stop = content.find(sign, place + 1, horizon)
    while stop >= 0 and content[stop + 1 : stop + 2] == sign:
        stop = content.find(sign, stop + 2, horizon)
    return -1 if stop < 0 or stop + 1 >= len(content) else stop + 1


def _line_end(content: bytes, place: int) -> int:
    """Return where the next line begins if one ends at a place, 0 otherwise."""
    if content[place] == _LF:
        return place + 1
    return place + 2 if content[place] == _CR and content[place + 1 : place + 2] == b"\n" else 0


def _judged(
    content: bytes, begin: int, stop: int, line_end: int, values: int, largest: int, rules: Rules, horizon: int,
    sees_all: bool,
) -> One | None:  # fmt: skip
    if rules.columns is not None and values != rules.columns:
        if content.find(b"\n", begin, stop) >= 0:
            return _first_line(content, begin, horizon, WRONG, sees_all)
        return One(stop, line_end, WRONG, values)
    return One(stop, line_end, LARGE if largest > rules.largest_cell else FINE, values)


def _first_line(content: bytes, begin: int, horizon: int, code: int, sees_all: bool) -> One | None:
    """Return the line in which a record begins, as one with a problem."""
    feed = content.find(b"\n", begin, horizon)
    if feed < 0:
        return One(horizon, -1, LARGE) if sees_all else None
    return One(feed - (content[begin:feed][-1:] == b"\r"), feed + 1, code)


def records(content: npt.NDArray[np.uint8], rules: Rules) -> Found:
    """Return the records from the begin of some content, up to the first that is not plain, or has not ended."""
    feeds, delimiters, breaks, stop = _structure(content, rules)
    ends = feeds[: np.searchsorted(feeds, stop)]
    begins = np.empty_like(ends)
    begins[:1], begins[1:] = 0, ends[:-1] + 1
    codes = np.zeros(len(ends), np.int8)
    if rules.columns is not None and len(ends):
        codes[_counts_differ(delimiters, begins, ends, rules.columns - 1)] = WRONG
    is_odd = ends - begins > rules.largest_cell
    if len(breaks):
        of = np.searchsorted(ends, breaks)
        of = of[of < len(ends)]
        is_odd[of] |= codes[of] == WRONG
    cut = int(np.argmax(is_odd)) if is_odd.any() else len(ends)
    begins, ends, codes = begins[:cut], ends[:cut], codes[:cut]
    following = int(ends[-1]) + 1 if cut else 0
    is_stuck = stop < len(content) or len(is_odd) > cut
    with_return = (ends > begins) & (content[np.maximum(ends - 1, 0)] == _CR) if len(ends) else np.zeros(0, np.bool_)
    return Found(begins, ends - with_return, codes, following, is_stuck)


def _structure(content: npt.NDArray[np.uint8], rules: Rules) -> tuple[Numbers, Numbers, Numbers, int]:
    """Return where lines end, and values, outside quotes; where lines end inside; and where the first fault is.

    The last is the content's length if there is none. What stands behind a fault is not to be relied on.
    """
    size = len(content)
    feeds, delimiters = np.flatnonzero(content == _LF), np.flatnonzero(content == rules.delimiter)
    quotes = np.empty(0, np.int64) if rules.quote is None else np.flatnonzero(content == rules.quote)
    breaks = np.empty(0, np.int64)
    stop = size
    if len(quotes):
        stop = _first_bad_quote(content, quotes, rules)
        is_inside = _inside(quotes, feeds)
        feeds, breaks = feeds[~is_inside], feeds[is_inside]
        delimiters = delimiters[~_inside(quotes, delimiters)]
    returns = np.flatnonzero(content == _CR)
    if len(returns):
        if len(quotes):
            returns = returns[~_inside(quotes, returns)]
        returns = returns[returns + 1 < size]
        bare = returns[content[returns + 1] != _LF]
        stop = min(stop, int(bare[0])) if len(bare) else stop
    return feeds, delimiters, breaks, stop


def _inside(quotes: Numbers, places: Numbers) -> npt.NDArray[np.bool_]:
    """Return which places have an odd number of quotes before them."""
    is_inside: npt.NDArray[np.bool_] = np.searchsorted(quotes, places) % 2 == 1
    return is_inside


def _first_bad_quote(content: npt.NDArray[np.uint8], quotes: Numbers, rules: Rules) -> int:
    """Return the place of the first quote that may not stand where it does, the content's length if there is none."""
    size, opening, closing = len(content), quotes[0::2], quotes[1::2]
    before = content[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | (before == rules.delimiter) | (before == _LF)
    opens[1:] |= opening[1:] - 1 == closing[: len(opening) - 1]
    after = content[np.minimum(closing + 1, size - 1)]
    second = content[np.minimum(closing + 2, size - 1)]
    closes = (closing + 1 >= size) | (after == rules.delimiter) | (after == _LF)
    closes |= (after == _CR) & ((closing + 2 >= size) | (second == _LF))
    closes[: len(opening) - 1] |= opening[1:] == closing[: len(opening) - 1] + 1
    wrong = [places[~fine][:1] for places, fine in ((opening, opens), (closing, closes))]
    return int(min((int(each[0]) for each in wrong if len(each)), default=size))


def _counts_differ(delimiters: Numbers, begins: Numbers, ends: Numbers, each: int) -> npt.NDArray[np.bool_]:
    """Return which records have not `each` delimiters."""
    delimiters = delimiters[: np.searchsorted(delimiters, ends[-1])]
    if len(delimiters) == each * len(ends):
        by_record = delimiters.reshape(len(ends), each)
        if each == 0 or ((by_record[:, 0] >= begins).all() and (by_record[:, -1] < ends).all()):
            return np.zeros(len(ends), np.bool_)
    edges = np.searchsorted(delimiters, np.append(begins, ends[-1]))
    differ: npt.NDArray[np.bool_] = np.diff(edges) != each
    return differ
