"""A table from CSV to prepared rows: against Polars, how it grows, and what it takes.

    python benchmarks/tables.py [--rows 3000000] [--others ENVIRONMENT/bin/python]

The flights of `samples/flights` are repeated, each time a year later. Stages ingest, clean, split (by time) and
normalize run as the graph runs them, a process each, in a copy of this checkout: five numbers, three categories, and a
target that is cut into two classes. Polars does the same in an environment of its own (`tables_elsewhere.py`), named by
--others:

    uv venv ENVIRONMENT && uv pip install --python ENVIRONMENT/bin/python polars

Asked, in one run: at most 4 times Polars for the same result, a tenth of the rows in a tenth of the time within 20 %,
each process below 2 GiB. What starting takes is measured on 1 000 rows and taken off, as Polars has started, too; it is
printed beside it. The same result is the rows that the stages keep, raw, clean, divided and prepared, as files with
ids and digests; its SHA-256 is Python's, on one core, as Polars has none. How long Polars takes for the prepared rows
alone, in memory, is printed, too.

Exit codes: 0 all of it is as asked, 1 something is not.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
import pyarrow.parquet as pq
import yaml

from benchmarks import made_data
from benchmarks.checkouts import copy_checkout, environment
from benchmarks.memory import Peak, watch
from benchmarks.quiet import noise_between, take_sample
from benchmarks.tables_elsewhere import CATEGORIES, LATE_MIN, NUMBERS
from pipeline.recipe.changing import as_written
from pipeline.recipe.configs import CONFIGS, recipe_layers
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.strict_yaml import dump_yaml

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "flights"
COLUMNS = ("time_hour", *NUMBERS, "flight", *CATEGORIES, "arr_delay")
STAGES = ("ingest", "clean", "split", "normalize")
PARTS = ("train", "validation", "test")
FEW = 1_000  # rows that show what starting takes
WAYS = ("prepared", "kept")  # of tables_elsewhere.py
CORES = 2
PER_FILE = 500_000
CONTRACTS = "data_contracts/made"
ANY_ROWS = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}
ASKED_POLARS, ASKED_GROWTH, ASKED_MIB = 4.0, 1.2, 2048
APART = 0.005  # share of the rows by which Polars' parts may differ: an instant has some hundred rows


def flights() -> Iterator[dict[str, str]]:
    """Yield the sample's flights without end, each time a year later than the time before."""
    rows = [
        row
        for path in sorted(SAMPLE.glob("flights_q?.csv.gz"))
        for row in csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode("ascii")))
    ]
    if not rows:
        raise SystemExit(f"{SAMPLE}: there are no flights in it")
    for repeated in count():
        later = {
            hour: (datetime.fromisoformat(hour) + timedelta(days=365 * repeated)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for hour in {row["time_hour"] for row in rows}
        }
        for row in rows:
            yield row | {"time_hour": later[row["time_hour"]]}


def make_flights(folder: Path, rows: int) -> None:
    """Write so many flights as CSV files."""
    folder.mkdir(parents=True)
    source = flights()
    for number, begin in enumerate(range(0, rows, PER_FILE)):
        with (folder / f"flights_{number:03}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(islice(source, min(PER_FILE, rows - begin)))


def recipe_of(project: Path, path: str) -> dict[str, Any]:
    """Return the recipe of late flights, of these columns, without the weather."""
    layers = recipe_layers(project, f"{CONFIGS}/flights_late.yaml")
    recipe: dict[str, Any] = as_written(layers.values, layers.written)
    settings = {
        "target": {"column": "arr_delay", "edges": [LATE_MIN]},
        "missing": ["NA"],
        "time": {"format": "iso"},
        "known_at": {"before": [*NUMBERS, *CATEGORIES]},
    }
    features = {name: {"kind": "number"} for name in NUMBERS} | {name: {"kind": "category"} for name in CATEGORIES}
    recipe["data"] |= {
        "source": {"name": "csv", "settings": settings},
        "path": path,
        "contracts": CONTRACTS,
        "features": features,
        "roles": {"time": "time_hour"},
        "equal_rows": {"duplicates": "reject", "conflicts": "keep"},
    }
    return recipe


def role(process: psutil.Process) -> str:
    """Return what a process of a stage is: the driver, its JVM, a Python worker of Spark's."""
    if process.name() == "java":
        return "the JVM"
    command = process.cmdline()
    if "pipeline.runtime.spark_workers" in command:
        return "a Python worker"
    return "the driver" if "stage" in command else ""


def as_built(project: Path, rows: int) -> tuple[dict[str, float], dict[str, Peak]]:
    """Make flights in a project and run the stages; return the seconds of each, and the peaks by process."""
    make_flights(project / "made" / str(rows), rows)
    (project / PARAMS_FILE).write_bytes(dump_yaml(recipe_of(project, f"made/{rows}")))
    command = [sys.executable, "-m", "pipeline", "stage"]
    subprocess.run(
        [*command, "resolve"],
        cwd=project,
        env=environment(project, Path(sys.executable)),
        check=True,
        stdout=sys.stderr,
    )
    shutil.rmtree(project / "reports/contracts/raw", ignore_errors=True)  # of the rows before
    made_data.write_passed(project / "reports/contracts/raw")
    taken_s, peaks = {}, dict[str, Peak]()
    for stage in STAGES:
        begun_s = time.perf_counter()
        found = watch([*command, stage], project, role)
        taken_s[stage] = time.perf_counter() - begun_s
        for name, peak in found.items():
            if name not in peaks or peaks[name].resident_mib < peak.resident_mib:
                peaks[name] = peak
    return taken_s, peaks


def polars(python: Path, source: Path, target: Path) -> dict[str, float]:
    """Run each of Polars' ways twice, the first time to warm up; return the seconds of the second by the way."""
    command = [str(python), str(Path(__file__).with_name("tables_elsewhere.py")), str(CORES)]
    asked = [(way, name) for way in WAYS for name in ("first", "second")]
    lines = "".join(f"{way}\t{source}\t{target / way / name}\n" for way, name in asked)
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Polars ended with {done.returncode}")
    answered = done.stdout.splitlines()[-len(asked) :]
    return {way: float(took) for (way, name), took in zip(asked, answered, strict=True) if name == "second"}


def rows_in(folder: Path) -> dict[str, int]:
    """Return how many rows of Parquet each part has."""
    return {part: sum(pq.read_metadata(path).num_rows for path in (folder / part).glob("*.parquet")) for part in PARTS}


def is_alike(ours: dict[str, int], theirs: dict[str, int]) -> bool:
    """Return whether both have as many rows, in parts that are cut at nearly the same instants."""
    total = sum(ours.values())
    return total == sum(theirs.values()) and all(abs(ours[part] - theirs[part]) <= APART * total for part in PARTS)


def main() -> int:
    """Make the tables, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000, help="how many (3 000 000)")
    parser.add_argument("--others", type=Path, metavar="PYTHON", help="a Python that has Polars")
    options = parser.parse_args()
    asked: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as name:
        project = copy_checkout(ROOT, Path(name) / "project")
        execution = yaml.safe_load((project / "execution.yaml").read_text())
        execution["spark"]["master"] = f"local[{CORES}]"
        (project / "execution.yaml").write_text(yaml.safe_dump(execution))
        (project / CONTRACTS).mkdir()
        for contract in ("raw", "prepared"):  # they are not checked here
            suite = {"name": f"made.{contract}", "expectations": [ANY_ROWS]}
            (project / CONTRACTS / f"{contract}.yaml").write_text(yaml.safe_dump(suite))
        before = take_sample()
        few, tenth = (sum(as_built(project, rows)[0].values()) for rows in (FEW, options.rows // 10))
        taken_s, peaks = as_built(project, options.rows)
        ours = rows_in(project / "data/prepared")
        theirs_s = polars(options.others, project / "made" / str(options.rows), Path(name)) if options.others else None
        theirs = {way: rows_in(Path(name) / way / "second") for way in WAYS}
        print(f"while this was measured: {noise_between(before, take_sample())}")
    whole = sum(taken_s.values())
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in taken_s.items())
    print(f"{options.rows:,} rows in {whole:.1f} s ({stages}), of which starting takes {few:.1f} s")
    growth = (whole - few) / (tenth - few) / 10
    asked["growth"] = growth <= ASKED_GROWTH
    print(f"tables growth {growth:.2f} times a tenth of the rows ({tenth:.1f} s) (asked: at most {ASKED_GROWTH})")
    for process, peak in peaks.items():
        print(f"{process:16} {peak.resident_mib:6.0f} MiB resident at most (asked: below {ASKED_MIB})")
    asked["memory"] = all(peak.resident_mib < ASKED_MIB for peak in peaks.values())
    if theirs_s is None:
        print("tables: Polars was NOT measured: --others names a Python that has it (see --help)")
        asked["speed"] = False
    else:
        ratio = (whole - few) / theirs_s["kept"]
        print(f"tables ratio {ratio:.2f} of Polars, {theirs_s['kept']:.1f} s (asked: at most {ASKED_POLARS})")
        alone_s = theirs_s["prepared"]
        print(f"Polars takes {alone_s:.1f} s for prepared rows alone: {(whole - few) / alone_s:.2f} times that")
        asked["speed"] = ratio <= ASKED_POLARS
        asked["the same rows"] = all(is_alike(ours, found) for found in theirs.values())
        print(f"rows by part: ours {ours}, Polars' {theirs}")
    for part, is_met in asked.items():
        print(f"{part:14} {'as asked' if is_met else 'NOT as asked'}")
    return 0 if all(asked.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
