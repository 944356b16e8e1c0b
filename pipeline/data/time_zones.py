"""Moments of local times: by the zones' rules as package tzdata has them, pinned like every other dependency.

Days on which a zone changes its offset are told from the rest by asking at each hour; on the rest one subtraction does.
A local time is compared by PEP 495: `fold` 0 and 1 differ where it comes twice, and in a gap.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError

Micros = npt.NDArray[np.int64]  # since 1970-01-01T00:00:00, local or UTC
_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1)
_LAST_DAY = (datetime.max - _EPOCH).days
_FIRST_DAY = (datetime.min - _EPOCH).days
TWICE, NEVER = 1, 2


@lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone by its name; raise UsageError if there is none."""
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError) as error:
        raise UsageError(f"data.source.settings.time.zone: there is no zone {name!r}") from error


def utc_of(local: Micros, name: str) -> tuple[Micros, npt.NDArray[np.int8]]:
    """Return the moments of local times in a zone, `[row]`, and of each 0, or why it has none: TWICE or NEVER."""
    wrong = np.zeros(len(local), np.int8)
    if name == "UTC" or not len(local):
        return local, wrong
    days, place = np.unique(local // _DAY, return_inverse=True)
    offsets = [_offset_of_day(name, day) for day in days.tolist()]
    changes = np.array([offset is None for offset in offsets])[place]
    moments = local - np.array([offset or 0 for offset in offsets], np.int64)[place]
    if changes.any():
        distinct, place = np.unique(local[changes], return_inverse=True)
        found = [_moment(name, micros) for micros in distinct.tolist()]
        moments[changes] = np.array([moment for moment, _ in found], np.int64)[place]
        wrong[changes] = np.array([why for _, why in found], np.int8)[place]
    return moments, wrong


@lru_cache(maxsize=100_000)
def _offset_of_day(name: str, day: int) -> int | None:
    """Return a zone's offset on a local day, in microseconds; None if it changes on that day, or close to it."""
    zone = zone_of(name)
    if not _FIRST_DAY < day < _LAST_DAY - 1:
        return None
    begin = _EPOCH + timedelta(days=day)
    offsets = {
        (begin + timedelta(hours=hour)).replace(tzinfo=zone, fold=fold).utcoffset()
        for hour in range(-1, 26)
        for fold in (0, 1)
    }
    offset = offsets.pop()
    return None if offsets or offset is None else round(offset / timedelta(microseconds=1))


@lru_cache(maxsize=100_000)
def _moment(name: str, micros: int) -> tuple[int, int]:
    """Return the moment of one local time, and 0, TWICE or NEVER."""
    local = (_EPOCH + timedelta(microseconds=micros)).replace(tzinfo=zone_of(name))
    try:
        earlier, later = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
        moment = local.replace(tzinfo=None) - earlier
        returned = moment.replace(tzinfo=UTC).astimezone(zone_of(name)).replace(tzinfo=None)
    except OverflowError:  # at the ends of the calendar
        return 0, NEVER
    if earlier == later:
        return round((moment - _EPOCH) / timedelta(microseconds=1)), 0
    return 0, TWICE if returned == local.replace(tzinfo=None) else NEVER
