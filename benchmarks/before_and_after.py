"""What a change does to our own speed: this checkout against an older one, in turns on one machine.

    python benchmarks/before_and_after.py BEFORE_CHECKOUT [--pairs 5] [--only FIGURE …]

Both checkouts are set up (`make setup-airflow`). Most figures are what each checkout's own benchmarks print: their
lines stay when modules move. The other two are measured here: a run with nothing to do (in copies), and parsing the
DAG files. Before and after take turns, the one that begins changing, and only quiet pairs count (`quiet.py`).

Printed are the medians and the median of the pairs' ratios, turned so that above 1 is better. Asked: at least 0.95.
Exit codes: 0 no figure is under that, 1 some are, 2 usage, 75 some could not be measured.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.airflow import airflow_python, parse_ms
from benchmarks.checkouts import environment
from benchmarks.no_op_run import RATCHET, finished_project, seconds
from benchmarks.quiet import CouldNotMeasure, quiet_rounds

ROOT = Path(__file__).parents[1]
ASKED = 0.95


@dataclass(frozen=True)
class Figure:
    """A figure with its unit; one that a benchmark prints has its command, and a pattern that finds the number."""

    name: str
    unit: str
    is_higher_better: bool
    command: tuple[str, ...] = ()
    pattern: str = ""


HIGHER, LOWER = True, False
READING = Figure("reading", "images/s", HIGHER, ("reading.py", "--rounds", "5"), r"prepared shards +([\d,]+) images/s")
SPARK = Figure(
    "normalize and augment", "images/s", HIGHER, ("spark_stages.py", "--repeats", "7"), r"as built .*?([\d,]+) images/s"
)
CONTRACT = Figure("contract check", "s", LOWER, ("contracts.py", "--rounds", "3"), r"medians +pipeline ([\d.]+) s")
TRAINING = Figure(
    "training", "images/s", HIGHER, ("training_throughput.py", "--rounds", "10"), r"horovod +([\d,]+) images/s"
)
NO_OP = Figure("no-op run", "s", LOWER)
PARSE = Figure("DAG files", "ms", LOWER)
FIGURES = (PARSE, NO_OP, READING, CONTRACT, SPARK, TRAINING)
REPEATS = 3  # of what is measured here, a turn: the median counts
Measure = Callable[[Path], float | None]  # of a checkout


def python_of(checkout: Path) -> Path:
    """Return the Python of a checkout's own environment."""
    return checkout / ".venv" / "bin" / "python"


def number_in(text: str, pattern: str) -> float | None:
    """Return the number that a benchmark has printed, or None if it has not."""
    found = re.search(pattern, text)
    return float(found[1].replace(",", "")) if found else None


def printed_by(figure: Figure, checkout: Path) -> float | None:
    """Run a checkout's own benchmark; return its figure, or None if it could not measure."""
    python = python_of(checkout)
    done = subprocess.run(
        [str(python), f"benchmarks/{figure.command[0]}", *figure.command[1:]],
        cwd=checkout,
        env=environment(checkout, python),
        capture_output=True,
        text=True,
        check=False,
    )
    value = number_in(done.stdout, figure.pattern)
    if value is None and done.returncode != os.EX_TEMPFAIL:
        end = f"{done.stdout}{done.stderr}"[-8000:]
        raise SystemExit(f"{checkout}: {figure.command[0]} ended with {done.returncode}:\n{end}")
    return value


def median_of(once: Callable[[], float]) -> float:
    """Measure a few times."""
    return statistics.median(once() for _ in range(REPEATS))


def prepare(figure: Figure, checkouts: Sequence[Path], folder: Path) -> Measure:
    """Return the way to measure a figure, with everything done that comes before."""
    if figure is NO_OP:
        projects = {c: finished_project(c, python_of(c), folder / str(number)) for number, c in enumerate(checkouts)}
        return lambda checkout: median_of(lambda: seconds(projects[checkout], python_of(checkout), RATCHET))
    if figure is PARSE:
        for checkout in checkouts:
            parse_ms(checkout, folder)
        return lambda checkout: median_of(lambda: sum(parse_ms(checkout, folder).values()))
    return partial(printed_by, figure)


def ratio(figure: Figure, before: float, after: float) -> float:
    """Return how much better the figure has become: above 1 is better."""
    return after / before if figure.is_higher_better else before / after


def verdict(ratios: Sequence[float], missing: int) -> int:
    """Return the exit code for the ratios that were measured and the number of those that could not be."""
    return 1 if ratios and min(ratios) < ASKED else os.EX_TEMPFAIL if missing else 0


def compare(figure: Figure, measure: Measure, before: Path, after: Path, pairs: int, patience_s: float) -> float:
    """Measure both in turns, print a line and return the median ratio; raise CouldNotMeasure."""

    def pair(number: int) -> Mapping[Path, float] | None:
        values = {}
        for checkout in (before, after)[:: 1 if number % 2 else -1]:
            value = measure(checkout)
            if value is None:
                return None
            values[checkout] = value
        return values

    print(f"{figure.name:22} ", end="", flush=True)
    found = quiet_rounds(pair, pairs, patience_s)
    medians = [statistics.median(values[checkout] for values in found.results) for checkout in (before, after)]
    better = statistics.median(ratio(figure, values[before], values[after]) for values in found.results)
    print(
        f"before {medians[0]:,.4g} {figure.unit}, after {medians[1]:,.4g} {figure.unit}: {better:.2f} × "
        f"({'higher' if figure.is_higher_better else 'lower'} is better; {found.summary})",
        flush=True,
    )
    return better


def main() -> int:
    """Measure and print."""
    names = [figure.name for figure in FIGURES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, metavar="BEFORE_CHECKOUT")
    parser.add_argument("--pairs", type=int, default=5, help="quiet pairs wanted of each figure (5)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FIGURE", help=", ".join(names))
    parser.add_argument("--patience-s", type=float, default=900.0, help="noise to put up with, seconds a figure (900)")
    arguments = parser.parse_args()
    checkouts = (arguments.before.resolve(), ROOT.resolve())
    for checkout in checkouts:
        if not (python_of(checkout).exists() and airflow_python(checkout).exists()):
            parser.error(f"{checkout} is not set up: run `make setup-airflow` there first")
    ratios, missing = [], 0
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as folder:
        for figure in FIGURES:
            if figure.name not in arguments.only:
                continue
            measure = prepare(figure, checkouts, Path(folder))
            try:
                ratios.append(compare(figure, measure, *checkouts, arguments.pairs, arguments.patience_s))
            except CouldNotMeasure:
                missing += 1
    if ratios:
        print(f"least {min(ratios):.2f} × (asked: at least {ASKED})")
    return verdict(ratios, missing)


if __name__ == "__main__":
    sys.exit(main())
