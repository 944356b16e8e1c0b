"""Zones: the moments of local times are those of their rules, on every day of a change and between."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipeline.data.time_zones import NEVER, TWICE, utc_of, zone_of
from pipeline.errors import UsageError

EPOCH = datetime(1970, 1, 1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Pyongyang"])
def test_every_half_hour_of_years_is_as_zoneinfo_says(name: str) -> None:
    local = [datetime(2015, 1, 1) + timedelta(minutes=30 * step) for step in range(4 * 365 * 48)]
    micros = np.array([(each - EPOCH) // timedelta(microseconds=1) for each in local])
    moments, wrong = utc_of(micros, name)
    zone = ZoneInfo(name)
    offsets = np.array(
        [[each.replace(tzinfo=zone, fold=fold).utcoffset() / timedelta(minutes=1) for each in local] for fold in (0, 1)]
    )  # type: ignore[operator]
    same = offsets[0] == offsets[1]
    assert ((wrong == 0) == same).all()
    assert ((micros - moments)[same] == offsets[0][same] * 60_000_000).all()
    assert ((wrong == TWICE) == (offsets[0] > offsets[1])).all()
    assert ((wrong == NEVER) == (offsets[0] < offsets[1])).all()


def test_the_ends_of_the_calendar_are_no_error() -> None:
    days = np.array([(each - EPOCH).days for each in (datetime.min, datetime.max)])
    moments, wrong = utc_of(days * 86_400_000_000, "Asia/Tokyo")
    assert wrong.tolist() == [NEVER, 0]
    assert moments[1] == days[1] * 86_400_000_000 - 9 * 3_600_000_000


def test_an_unknown_zone_is_refused() -> None:
    for name in ("Europe/Atlantis", "../../etc/passwd", "Europe", ""):
        with pytest.raises(UsageError, match="there is no zone"):
            zone_of(name)
