"""Joins as of a time: of each key the last row that was there, and never one that became known later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.table_joins import Joined
from pipeline.errors import DataError
from pipeline.recipe.table_source import Join
from tests.data.csv_files import rows, wanted, write

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
TIMES = pa.timestamp("us", "UTC")
WEATHER = {
    "name": "weather", "path": "weather.csv", "key": ["origin"], "time": {"columns": ["at"]}, "lag_minutes": 60,
    "tolerance_minutes": 180, "columns": {"temp": "weather_temp"},
}  # fmt: skip


def at(minutes: int) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def joined(folder: Path, left: list[tuple[str | None, int | None]], **changed: Any) -> list[str | None]:
    """Return the temperature of each key and minute."""
    keys = pa.array([key for key, _ in left], pa.string())
    times = pa.array([None if minute is None else at(minute) for _, minute in left], TIMES)
    join = Join.model_validate({**WEATHER, **changed})
    found: list[str | None] = (
        Joined(join, folder, ("", "NA")).columns({"origin": keys}, times)["weather_temp"].to_pylist()
    )
    return found


def written(folder: Path, right: list[tuple[str, int, str]]) -> None:
    lines = [f"{key},{at(minute).isoformat()},{value}\n" for key, minute, value in right]
    write(folder / "weather.csv", "".join(["origin,at,temp\n", *lines]))


def test_the_last_row_that_was_there_at_the_lag_is_taken(tmp_path: Path) -> None:
    written(tmp_path, [("JFK", 60, "b"), ("JFK", 0, "a"), ("EWR", 60, "c"), ("JFK", 120, "NA"), ("JFK", 500, "d")])
    left: list[tuple[str | None, int | None]] = [
        ("JFK", 59), ("JFK", 60), ("JFK", 119), ("JFK", 120), ("EWR", 120), ("JFK", 180), ("LGA", 120), (None, 120),
        ("JFK", None), ("EWR", 240), ("EWR", 241), ("EWR", 119), ("JFK", 559), ("JFK", 560),
    ]  # fmt: skip
    assert joined(tmp_path, left) == [
        None, "a", "a", "b", "c", None, None, None, None, "c", None, None, None, "d",
    ]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 40)), min_size=1, unique=True),
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-10, 60))),
    st.integers(0, 10),
    st.integers(0, 20),
)
def test_it_is_what_looking_at_every_row_finds(
    tmp_path: Path, right: list[tuple[str, int]], left: list[tuple[str, int]], lag: int, more: int
) -> None:
    written(tmp_path, [(key, minute, f"{key}{minute}") for key, minute in right])
    expected = []
    for key, minute in left:
        fits = [when for its, when in right if its == key and lag <= minute - when <= lag + more]
        expected.append(f"{key}{max(fits)}" if fits else None)
    assert joined(tmp_path, list(left), lag_minutes=lag, tolerance_minutes=lag + more) == expected


def test_a_key_may_be_of_several_columns_by_other_names(tmp_path: Path) -> None:
    write(tmp_path / "weather.csv", "a,b,at,temp\nx,yz,2013-01-01T00:00Z,1\nxy,z,2013-01-01T00:00Z,2\n")
    join = Join.model_validate({**WEATHER, "key": ["a", "b"], "left_key": ["from", "to"]})
    texts = {"from": pa.array(["xy", "x", "x"]), "to": pa.array(["z", "yz", "y"])}
    times = pa.array([at(60)] * 3, TIMES)
    assert Joined(join, tmp_path, ("",)).columns(texts, times)["weather_temp"].to_pylist() == ["2", "1", None]


@pytest.mark.parametrize(
    ("content", "changed", "said"),
    [
        ("JFK,2013-01-01T00:00Z,1\nEWR,2013-01-01T00:00Z,1\nJFK,2013-01-01T01:00+01:00,2\n", {},
         "rows 1 and 3 are both of 'JFK' at 2013-01-01T00:00Z"),
        ("JFK,2013-01-01T00:00Z\n", {}, "row 1: another number of values than columns: 2 in place of 3"),
        ("JFK,2013-01-01T00:00Z,1\nJFK,2013-02-31T00:00Z,1\n", {}, "row 2: time that does not exist"),
        ("JFK,2013-01-01T00:00,1\n", {}, "row 1: time without a zone"),
        ("JFK,,1\n", {}, "row 1: has no time"),
        ("NA,2013-01-01T00:00Z,1\n", {}, "row 1: has no key"),
        ("JFK,2013-01-01T00:00Z,1\n", {"columns": {"tempp": "x"}}, "no column 'tempp', .* names .did you mean 'temp'"),
        ("JFK,2013-01-01T00:00Z,1\n", {"path": "other.csv"}, "other.csv does not exist; .*joins, weather"),
        ("JFK,2013-01-01T00:00Z,1\n", {"path": "link.csv"}, "path 'link.csv' leads out of"),
        ("", {}, "weather.csv: has a header and no rows"),
        ("JFK,2013-01-01T00:00Z,1\n" * 100_000, {"largest_mib": 1}, "raise largest_mib of join weather"),
    ],
)  # fmt: skip
def test_a_second_table_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str, changed: dict[str, Any], said: str
) -> None:
    write(tmp_path / "weather.csv", "out")
    write(tmp_path / "in" / "weather.csv", f"origin,at,temp\n{content}")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "weather.csv")
    with pytest.raises(DataError, match=said):
        joined(tmp_path / "in", [("JFK", 60)], **changed)


def test_a_joined_column_is_a_feature_like_another(tmp_path: Path) -> None:
    written(tmp_path, [("JFK", 0, "7")])
    write(tmp_path / "flights.csv", "origin,at,late\nJFK,2013-01-01T01:30Z,1\nEWR,2013-01-01T01:30Z,0\nJFK,,0\n")
    found = rows(tmp_path, wanted("temp:number:weather_temp", roles={"time": "at"}), target="late", joins=[WEATHER])
    assert [row["temp"] for row in found] == ["7", None, None]
    assert [row["problem"] for row in found] == [None, None, "without a time"]
    assert {row["source"] for row in found} == {"flights.csv"}


def test_a_joined_column_may_not_be_called_like_one_of_the_table(tmp_path: Path) -> None:
    written(tmp_path, [("JFK", 0, "7")])
    write(tmp_path / "flights.csv", "origin,at,late,weather_temp\nJFK,2013-01-01T01:30Z,1,3\n")
    with pytest.raises(DataError, match=r"flights.csv: has a column 'weather_temp', and so has a join"):
        rows(tmp_path, wanted("weather_temp", roles={"time": "at"}), target="late", joins=[WEATHER])
