"""Times of a table's rows, from texts to moments: exactly what stands there, or why not. Nothing is guessed.

A format is turned into one regular expression, and the numbers that it finds into days by arithmetic (H. Hinnant,
chrono-compatible low-level date algorithms, days_from_civil): no locale and no time zone of the machine takes part.
Names of months, AM and PM are the English ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.problems import AMBIGUOUS_TIME, NO_SUCH_TIME, NO_ZONE, NOT_A_TIME
from pipeline.data.time_zones import NEVER, TWICE, utc_of
from pipeline.recipe.table_source import ISO, TimeFormat

Numbers = npt.NDArray[np.int64]
MOMENT = pa.timestamp("us", "UTC")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAYS_IN = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_GROUPS = {
    "Y": "(?P<Y>[0-9]{4})", "m": "(?P<m>[0-9]{1,2})", "d": "(?P<d>[0-9]{1,2})", "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})", "M": "(?P<M>[0-9]{1,2})", "S": "(?P<S>[0-9]{1,2})", "f": "(?P<f>[0-9]{1,6})",
    "p": "(?P<p>(?i:[ap]m))", "b": "(?P<b>(?i:" + "|".join(name[:3] for name in _MONTHS) + "))",
    "B": "(?P<B>(?i:" + "|".join(_MONTHS) + "))", "z": "(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})", "%": "%",
}  # fmt: skip
_FIELDS = {"Y": "year", "m": "month", "d": "day", "H": "hour", "M": "minute", "S": "second"}
_SHORT_MONTHS = pa.array([name[:3] for name in _MONTHS])
_ISO = (
    r"^(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    r"(?:[T ](?P<H>[0-9]{2})(?::(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,6}))?)?)?"
    r"(?: ?(?P<z>Z|[+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)
_BLANKS = " \t"
_SHOWN = 100
_MINUTE = 60_000_000
_DAY = 24 * 60 * _MINUTE
_YEAR = 366 * _DAY
_FIRST, _LAST = -719_162 * _DAY, 2_932_897 * _DAY  # 0001-01-01, 10000-01-01
_NO_OFFSET = 2**31  # minutes: of an offset that there cannot be
_REASONS = {1: NOT_A_TIME, 2: NO_SUCH_TIME, 3: AMBIGUOUS_TIME, 4: NO_ZONE}
_UNREAD, _NEVER, _TWICE, _WITHOUT_ZONE = _REASONS


class Times(NamedTuple):
    """Moments of texts, `[row] timestamp[us, UTC]`: null where a part is null, and for each of `wrong_rows`.

    `codes` say why there is none, `parts` are what stands there.
    """

    values: pa.Array
    codes: npt.NDArray[np.int8]
    parts: Sequence[pa.Array]
    zone: str | None

    @property
    def wrong_rows(self) -> npt.NDArray[np.intp]:
        """The rows whose text is no time, in their order."""
        return np.flatnonzero(self.codes)

    @property
    def is_missing(self) -> npt.NDArray[np.bool_]:
        """Which rows have no time because a part is null."""
        is_missing: npt.NDArray[np.bool_] = pc.is_null(self.values).to_numpy(zero_copy_only=False) & (self.codes == 0)
        return is_missing

    def text(self, row: int) -> str:
        """Return what stands in a row."""
        return " ".join(str(part[row].as_py()) for part in self.parts)

    def told(self, row: int) -> tuple[str, str]:
        """Return why a text is no time, as one of `problems.PROBLEMS`, and the text."""
        code, shown = int(self.codes[row]), repr(self.text(row)[:_SHOWN])
        if code == _WITHOUT_ZONE:
            return NO_ZONE, f"{shown} has no offset; say in data.source.settings.time.zone where it is of"
        return _REASONS[code], f"{shown} in {self.zone}" if self.zone else shown


def times_of(parts: Sequence[pa.Array], written: TimeFormat) -> Times:
    """Return the moments of texts that are written in a format: of several, each is one of its words."""
    if written.format == ISO and (at_once := _iso_at_once(parts[0], written.zone)) is not None:
        return Times(at_once, np.zeros(len(at_once), np.int8), parts, written.zone)
    fields: dict[str, Numbers] = {}
    is_read = np.ones(len(parts[0]), np.bool_)
    is_there = np.ones(len(parts[0]), np.bool_)
    for part, word in zip(parts, written.words if len(parts) > 1 else (written.format,), strict=True):
        encoded = part.dictionary_encode()
        places = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        is_there &= pc.is_valid(part).to_numpy(zero_copy_only=False)
        if len(encoded.dictionary):
            matched, found = _fields(pc.utf8_trim(encoded.dictionary, _BLANKS), word)
            is_read &= matched[places]
            fields |= {name: numbers[places] for name, numbers in found.items()}
    micros, codes = _moments(fields, is_there & is_read, written.zone)
    codes[is_there & ~is_read] = _UNREAD
    values = pa.array(micros, pa.int64(), mask=~is_there | (codes != 0)).cast(MOMENT)
    return Times(values, codes, parts, written.zone)


def _iso_at_once(texts: pa.Array, zone: str | None) -> pa.Array | None:
    """Return the moments of texts if all are plain: what Arrow takes for a time is one, but for the year 0."""
    encoded = texts.dictionary_encode()
    try:
        micros = encoded.dictionary.cast(MOMENT if zone is None else pa.timestamp("us")).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    local = micros.to_numpy(zero_copy_only=False)
    if ((local < _FIRST + _YEAR) | (local >= _LAST - _YEAR)).any():
        return None
    moments, wrong = (local, np.zeros(len(local))) if zone is None else utc_of(local, zone)
    return None if wrong.any() else pa.array(moments, pa.int64()).cast(MOMENT).take(encoded.indices)


def _moments(
    fields: Mapping[str, Numbers], is_read: npt.NDArray[np.bool_], zone: str | None
) -> tuple[Numbers, npt.NDArray[np.int8]]:
    """Return microseconds since 1970 by the fields of a time, `[row]`, and of each 0, or why it has none."""
    codes = np.zeros(len(is_read), np.int8)
    if not is_read.any():
        return np.zeros(len(is_read), np.int64), codes
    year, month, day = fields["year"], fields["month"], fields["day"]
    nothing = np.zeros(len(is_read), np.int64)
    hour, minute, second, fraction, offset = (
        fields.get(name, nothing) for name in ("hour", "minute", "second", "fraction", "offset")
    )
    has_offset = fields["has_offset"] > 0 if "has_offset" in fields else nothing > 0
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = _DAYS_IN[np.clip(month, 0, 12)] + (is_leap & (month == 2))
    exists = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= last)
    exists &= (hour >= 0) & (hour <= 23) & (minute <= 59) & (second <= 59) & (offset != _NO_OFFSET)
    codes[is_read & ~exists] = _NEVER
    local = ((_days(year, month, day) * 24 + hour) * 60 + minute) * _MINUTE + second * 1_000_000 + fraction
    moments = local - np.where(offset == _NO_OFFSET, 0, offset) * _MINUTE
    codes[is_read & ((moments < _FIRST) | (moments >= _LAST))] = _NEVER  # in UTC it is of another year
    rows = (codes == 0) & is_read & ~has_offset
    if zone is None:
        codes[rows] = _WITHOUT_ZONE
    else:
        moments[rows], wrong = utc_of(local[rows], zone)
        codes[rows] = np.select([wrong == TWICE, wrong == NEVER], [_TWICE, _NEVER], 0)
    return moments, codes


def _fields(texts: pa.Array, word: str) -> tuple[npt.NDArray[np.bool_], dict[str, Numbers]]:
    """Return whether each text is written as a word of a format says, and what it says by field, `[text]`."""
    found = pc.extract_regex(texts, _pattern(word))
    there = {field.name: found.field(place).fill_null("") for place, field in enumerate(found.type)}

    def number(name: str, otherwise: str) -> Numbers:
        digits = pc.if_else(pc.equal(there[name], ""), otherwise, there[name])
        return _numbers(digits)

    fields = {field: number(name, "0") for name, field in _FIELDS.items() if name in there}
    for name in (each for each in "bB" if each in there):
        first = pc.utf8_slice_codeunits(pc.utf8_lower(there[name]), 0, 3)
        fields["month"] = _numbers(pc.index_in(first, value_set=_SHORT_MONTHS).fill_null(0)) + 1
    if "I" in there:
        hour, is_afternoon = number("I", "12"), _numbers(pc.equal(pc.utf8_lower(there["p"]), "pm"))
        fields["hour"] = np.where((hour >= 1) & (hour <= 12), hour % 12 + 12 * is_afternoon, -1)
    if "f" in there:
        fields["fraction"] = _numbers(pc.utf8_rpad(there["f"], 6, "0"))
    if "z" in there:
        fields["offset"] = np.array([_minutes(text) for text in there["z"].to_pylist()], np.int64)
        fields["has_offset"] = _numbers(pc.not_equal(there["z"], ""))
    return pc.is_valid(found).to_numpy(zero_copy_only=False), fields


def _numbers(column: pa.Array) -> Numbers:
    found: Numbers = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


@lru_cache(maxsize=100)
def _pattern(written: str) -> str:
    """Return the expression, in RE2's syntax, of a time's format."""
    if written == ISO:
        return _ISO
    parts = re.split(r"%(.)", written, flags=re.DOTALL)
    return "^" + "".join(_GROUPS[part] if place % 2 else re.escape(part) for place, part in enumerate(parts)) + "$"


def _minutes(text: str) -> int:
    """Return an offset in minutes, _NO_OFFSET if there can be none like it."""
    if text in ("", "Z"):
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 23 or minutes > 59:
        return _NO_OFFSET
    return (hours * 60 + minutes) * (-1 if text[0] == "-" else 1)


def _days(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the days since 1970-01-01 in the Gregorian calendar."""
    year = year - (month <= 2)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days: npt.NDArray[np.int64] = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return days
