"""Times of a table: what stands there is the moment that Python's datetime says, or has a reason."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.data.problems import AMBIGUOUS_TIME, NO_SUCH_TIME, NO_ZONE, NOT_A_TIME
from pipeline.data.table_times import MOMENT, times_of
from pipeline.recipe.table_source import TimeFormat

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo")


def moments(texts: list[str | None], **written: Any) -> list[Any]:
    """Return of each text its moment, None for a null, or the problem."""
    found = times_of([pa.array(texts, pa.string())], TimeFormat.model_validate(written))
    assert found.values.type == MOMENT
    problems: list[Any] = found.values.to_pylist()
    for row in found.wrong_rows.tolist():
        assert problems[row] is None
        problems[row] = found.told(row)[0]
    return problems


def moment(text: str, **written: Any) -> Any:
    return moments([text], **written)[0]


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.sampled_from(ZONES))
@example(datetime(1880, 1, 1, 0, 3), "Europe/Berlin")
@example(datetime(2013, 11, 3, 1, 30), "America/New_York")
@example(datetime(2013, 3, 10, 2, 30), "America/New_York")
@example(datetime(2018, 11, 4, 0, 30), "America/Sao_Paulo")
@example(datetime(2021, 4, 4, 1, 45), "Australia/Lord_Howe")
@example(datetime(2024, 2, 29), "UTC")
def test_a_local_time_is_the_moment_of_its_zone(local: datetime, zone: str) -> None:
    earlier, later = (local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    exists = earlier.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local
    expected: Any = earlier if earlier == later else AMBIGUOUS_TIME if exists else NO_SUCH_TIME
    for text in (local.isoformat(), local.isoformat(" ")):
        assert moment(text, zone=zone) == expected
    written = "%d.%m.%Y %I:%M:%S %p .%f"
    text = f"{local.day}.{local.month}.{local.year:04} {local.hour % 12 or 12}:{local.minute}:{local.second} "
    text += f"{'pm' if local.hour >= 12 else 'AM'} .{local.microsecond:06}"
    assert moment(text, zone=zone, format=written) == expected


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30)), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_an_offset_of_its_own_counts_whatever_the_zone(local: datetime, minutes: int) -> None:
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    expected = (local - timedelta(minutes=minutes)).replace(tzinfo=UTC)
    for offset in (f"{sign}{size // 60:02}:{size % 60:02}", f"{sign}{size // 60:02}{size % 60:02}"):
        assert moments([local.isoformat() + offset] * 2, zone="Europe/Berlin") == [expected] * 2
        assert moment(local.isoformat() + offset) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-02-31", NO_SUCH_TIME), ("2013-02-29", NO_SUCH_TIME), ("2013-13-01", NO_SUCH_TIME),
        ("2013-00-01", NO_SUCH_TIME), ("2013-01-00", NO_SUCH_TIME), ("0000-01-01", NO_SUCH_TIME),
        ("2013-01-01T24:00", NO_SUCH_TIME), ("2013-01-01T23:60", NO_SUCH_TIME), ("2013-06-30T23:59:60", NO_SUCH_TIME),
        ("2013-01-01T10:00+24:00", NO_SUCH_TIME), ("2013-01-01T10:00+10:60", NO_SUCH_TIME),
        ("1900-02-29", NO_SUCH_TIME), ("2000-02-29", datetime(2000, 2, 29, tzinfo=UTC)),
        ("2013-1-1", NOT_A_TIME), ("13-01-01", NOT_A_TIME), ("yesterday", NOT_A_TIME),
        ("", NOT_A_TIME), ("2013-01-01T10:00:00.1234567", NOT_A_TIME), ("٢٠١٣-01-01", NOT_A_TIME),
        ("2013-01-01\n", NOT_A_TIME), ("99999-01-01", NOT_A_TIME), ("-2013-01-01", NOT_A_TIME),
        (" 2013-01-01 ", datetime(2013, 1, 1, tzinfo=UTC)),
        ("2013-01-01 10:00:00,5Z", datetime(2013, 1, 1, 10, 0, 0, 500_000, UTC)),
        ("2013-01-01T10:00Z", datetime(2013, 1, 1, 10, tzinfo=UTC)),
        ("2013-01-01T10", datetime(2013, 1, 1, 10, tzinfo=UTC)), ("0001-01-01T00:00+00:01", NO_SUCH_TIME),
        ("9999-12-31T23:59-00:01", NO_SUCH_TIME), ("0001-01-01T00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("2013-01-01T10:00-05", datetime(2013, 1, 1, 15, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_what_is_no_time_has_its_reason(text: str, expected: Any) -> None:
    assert moment(text, zone="UTC") == expected
    assert moments(["2013-01-01", text, None], zone="UTC") == [datetime(2013, 1, 1, tzinfo=UTC), expected, None]


ISO_LIKE = st.from_regex(
    r"20[0-9]{2}-(0[1-9]|1[0-3])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ][012][0-9](:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,7})?)?)?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?",
    fullmatch=True,
)


@pytest.mark.long
@given(st.lists(ISO_LIKE, min_size=1), st.sampled_from([None, "UTC", "Europe/Berlin"]))
def test_a_wrong_text_beside_others_makes_no_difference(texts: list[str], zone: str | None) -> None:
    together = moments([*texts, "x"], zone=zone)
    assert together == [*(moment(text, zone=zone) for text in texts), NOT_A_TIME]
    assert together[:-1] == moments(list(texts), zone=zone)


def test_without_a_zone_a_time_must_have_an_offset() -> None:
    assert moments(["2013-01-01T10:00Z", "2013-01-01T10:00", None]) == [
        datetime(2013, 1, 1, 10, tzinfo=UTC),
        NO_ZONE,
        None,
    ]


def test_hours_of_clock_changes_are_told_with_the_zone() -> None:
    found = times_of([pa.array(["2013-10-27T02:30", "2013-03-31T02:30"])], TimeFormat(zone="Europe/Berlin"))
    assert [found.told(row) for row in range(2)] == [
        (AMBIGUOUS_TIME, "'2013-10-27T02:30' in Europe/Berlin"),
        (NO_SUCH_TIME, "'2013-03-31T02:30' in Europe/Berlin"),
    ]


def test_names_of_months_are_english_whatever_the_case() -> None:
    months = ["jan", "FEB", "Mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "Dec"]
    found = moments([f"{name} 5, 2013" for name in [*months, "okt"]], format="%b %d, %Y", zone="UTC")
    assert found == [*(datetime(2013, month, 5, tzinfo=UTC) for month in range(1, 13)), NOT_A_TIME]
    assert moment("5. September 2013 100%", format="%d. %B %Y 100%%", zone="UTC") == datetime(2013, 9, 5, tzinfo=UTC)


def test_columns_are_the_words_of_a_format() -> None:
    written = TimeFormat(format="%Y %m %d %H:%M", zone="UTC", columns=("y", "m", "d", "t"))
    parts = [["2013", "2013", None, "2013"], ["1", "02", "1", "x"], ["31", "31", "1", "1"], ["5:00"] * 4]
    found = times_of([pa.array(part, pa.string()) for part in parts], written)
    assert found.values.to_pylist() == [datetime(2013, 1, 31, 5, tzinfo=UTC), None, None, None]
    assert [(row, *found.told(row)) for row in found.wrong_rows.tolist()] == [
        (1, NO_SUCH_TIME, "'2013 02 31 5:00' in UTC"), (3, NOT_A_TIME, "'2013 x 1 5:00' in UTC"),
    ]  # fmt: skip
    assert found.is_missing.tolist() == [False, False, True, False]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_the_machines_zone_takes_no_part(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert moment("2013-07-01T00:00", zone="Europe/Berlin") == datetime(2013, 6, 30, 22, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "TZ" not in os.environ or os.environ["TZ"] != zone


def test_no_rows_have_no_times() -> None:
    assert moments([], zone="UTC") == []
    assert moments([None, None], zone="UTC") == [None, None]
