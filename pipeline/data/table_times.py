"""Times of a table's rows, from texts to moments: exactly what stands there, or why not. Nothing is guessed.

A format is turned into one regular expression, and the numbers that it finds into days by arithmetic (H. Hinnant,
chrono-compatible low-level date algorithms, days_from_civil): no locale and no time zone of the machine takes part.
Names of months, AM and PM are the English ones.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.problems import AMBIGUOUS_TIME, NO_SUCH_TIME, NO_ZONE, NOT_A_TIME
from pipeline.data.time_zones import NEVER, TWICE, utc_of
from pipeline.recipe.table_source import ISO, TimeFormat

MOMENT = pa.timestamp("us", "UTC")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAYS_BEFORE = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_GROUPS = {
    "Y": "(?P<Y>[0-9]{4})", "m": "(?P<m>[0-9]{1,2})", "d": "(?P<d>[0-9]{1,2})", "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})", "M": "(?P<M>[0-9]{1,2})", "S": "(?P<S>[0-9]{1,2})", "f": "(?P<f>[0-9]{1,6})",
    "p": "(?P<p>(?i:[ap]m))", "b": "(?P<b>(?i:" + "|".join(name[:3] for name in _MONTHS) + "))",
    "B": "(?P<B>(?i:" + "|".join(_MONTHS) + "))", "z": "(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})", "%": "%",
}  # fmt: skip
_ISO = (
    r"^(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    r"(?:[T ](?P<H>[0-9]{2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,6}))?)?"
    r"(?: ?(?P<z>Z|[+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)
_BLANKS = " \t"
_SHOWN = 100
_MINUTE = 60_000_000
_REASONS = {1: NOT_A_TIME, 2: NO_SUCH_TIME, 3: AMBIGUOUS_TIME, 4: NO_ZONE}
_UNREAD, _NEVER, _TWICE, _WITHOUT_ZONE = _REASONS


class _Number(Protocol):
    def __call__(self, name: str, otherwise: int = 0) -> npt.NDArray[np.int64]:
        """Return the number of a directive in each text, `otherwise` where it has none."""


class Times(NamedTuple):
    """Moments of texts, `[row] timestamp[us, UTC]`: null for a null, and for each of `wrong_rows`.

    `codes` say why there is none, `texts` are what stands there.
    """

    values: pa.Array
    codes: npt.NDArray[np.int8]
    texts: pa.Array
    zone: str | None

    @property
    def wrong_rows(self) -> npt.NDArray[np.intp]:
        """The rows whose text is no time, in their order."""
        return np.flatnonzero(self.codes)

    def told(self, row: int) -> tuple[str, str]:
        """Return why a text is no time, as one of `problems.PROBLEMS`, and the text."""
        code, shown = int(self.codes[row]), repr(self.texts[row].as_py()[:_SHOWN])
        if code == _WITHOUT_ZONE:
            return NO_ZONE, f"{shown} has no offset; say in data.source.settings.time.zone where it is of"
        return _REASONS[code], f"{shown} in {self.zone}" if self.zone else shown


def times_of(texts: pa.Array, written: TimeFormat) -> Times:
    """Return the moments of texts that are written in a format."""
    encoded = texts.dictionary_encode()
    distinct, places = encoded.dictionary, encoded.indices
    micros, codes = _moments(pc.utf8_trim(distinct, _BLANKS), written)
    values = pa.array(micros, pa.int64(), mask=codes != 0).cast(MOMENT).take(places)
    if codes.any():
        of_rows = pa.array(codes).take(places).fill_null(0).to_numpy(zero_copy_only=False)
    else:
        of_rows = np.zeros(len(texts), np.int8)
    return Times(values, of_rows, texts, written.zone)


def _moments(texts: pa.Array, written: TimeFormat) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Return microseconds since 1970 of each text, and of each 0, or why it has none."""
    codes = np.zeros(len(texts), np.int8)
    fields = pc.extract_regex(texts, _pattern(written.format))
    codes[fields.is_null().to_numpy(zero_copy_only=False)] = _UNREAD
    there = {field.name: fields.field(place) for place, field in enumerate(fields.type)}

    def number(name: str, otherwise: int = 0) -> npt.NDArray[np.int64]:
        if name not in there:
            return np.full(len(texts), otherwise, np.int64)
        digits = pc.if_else(pc.equal(there[name], ""), str(otherwise), there[name]).fill_null(str(otherwise))
        found: npt.NDArray[np.int64] = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return found

    year, month, day = number("Y", 1970), _month(there, number), number("d", 1)
    hour = _hour(there, number)
    minute, second = number("M"), number("S")
    micros = _fraction(there, len(texts))
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = _DAYS_BEFORE[np.clip(month, 0, 12)] + (is_leap & (month == 2))
    exists = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= last)
    exists &= (hour >= 0) & (hour <= 23) & (minute <= 59) & (second <= 59)
    codes[(codes == 0) & ~exists] = _NEVER
    local = ((_days(year, month, day) * 24 + hour) * 60 + minute) * _MINUTE + second * 1_000_000 + micros
    offset, has_offset, offset_exists = _offset(there, len(texts))
    codes[(codes == 0) & ~offset_exists] = _NEVER
    moments = local - offset * _MINUTE
    if written.zone is None:
        codes[(codes == 0) & ~has_offset] = _WITHOUT_ZONE
    else:
        rows = (codes == 0) & ~has_offset
        moments[rows], wrong = utc_of(local[rows], written.zone)
        codes[rows] = np.select([wrong == TWICE, wrong == NEVER], [_TWICE, _NEVER], 0)
    return moments, codes


@lru_cache(maxsize=100)
def _pattern(written: str) -> str:
    """Return the expression, in RE2's syntax, of a time's format."""
    if written == ISO:
        return _ISO
    parts = re.split(r"%(.)", written, flags=re.DOTALL)
    return "^" + "".join(_GROUPS[part] if place % 2 else re.escape(part) for place, part in enumerate(parts)) + "$"


def _month(there: dict[str, pa.Array], number: _Number) -> npt.NDArray[np.int64]:
    name = next((each for each in "bB" if each in there), None)
    if name is None:
        return number("m", 1)
    first = pc.utf8_slice_codeunits(pc.utf8_lower(there[name]), 0, 3)
    place = pc.index_in(first, value_set=pa.array([each[:3] for each in _MONTHS])).fill_null(0)
    return place.cast(pa.int64()).to_numpy(zero_copy_only=False) + 1


def _hour(there: dict[str, pa.Array], number: _Number) -> npt.NDArray[np.int64]:
    """Return the hour of 24; below 0 for one of 12 that does not exist."""
    if "I" not in there:
        return number("H")
    hour = number("I", 12)
    is_afternoon = pc.equal(pc.utf8_lower(there["p"]), "pm").fill_null(False).to_numpy(zero_copy_only=False)
    return np.where((hour >= 1) & (hour <= 12), hour % 12 + 12 * is_afternoon, -1)


def _fraction(there: dict[str, pa.Array], rows: int) -> npt.NDArray[np.int64]:
    """Return the microseconds of a second."""
    if "f" not in there:
        return np.zeros(rows, np.int64)
    digits = pc.utf8_rpad(there["f"].fill_null(""), 6, "0")
    found: npt.NDArray[np.int64] = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _offset(
    there: dict[str, pa.Array], rows: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the offsets from UTC in minutes, whether there is one, and whether it can be."""
    nothing, everything = np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    if "z" not in there:
        return nothing, np.zeros(rows, np.bool_), everything
    texts = there["z"].fill_null("")
    encoded = texts.dictionary_encode()
    distinct = [_minutes(text) for text in encoded.dictionary.to_pylist()]
    places = encoded.indices.to_numpy(zero_copy_only=False)
    minutes = np.array([each or 0 for each in distinct], np.int64)[places] if rows else nothing
    exists = np.array([each is not None for each in distinct], np.bool_)[places] if rows else everything
    return minutes, pc.not_equal(texts, "").to_numpy(zero_copy_only=False), exists


def _minutes(text: str) -> int | None:
    """Return an offset in minutes; None if there can be none like it."""
    if text in ("", "Z"):
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if text[0] == "-" else 1)


def _days(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the days since 1970-01-01 in the Gregorian calendar."""
    year = year - (month <= 2)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
