"""How often the gate errs where scores are losses: a candidate that is truly no better, or worse by just the margin.

    python benchmarks/gate_losses.py               (`make gate-campaign ONLY=losses`: some minutes of one core)

Losses of a champion and a candidate on made test rows, so that the true mean of their differences is known; what judges
them is the gate's own arithmetic. Beside it stands Student's t, to see what skewness does to it. A *fault* is a rare
kind of row on which the candidate alone loses much; on all other rows it is better by so much that the means are as the
scenario says, which is the hardest case. Prints tables of `docs/gate.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.gate import paired_losses
from pipeline.gate.paired import z_at

Numbers = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Numbers, Numbers]]  # scores of candidate and champion, of equal mean

RUNS, ROWS = 2000, (500, 4000)
ERROR, VERDICTS = 0.05, 365
SPREAD = 5.0  # deviation of differences, minutes
FAULTS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)  # rows expected
FAULT_MIN, UNHEARD_OF_MIN = 100.0, 5000.0  # what one costs: such errors occur on other rows too, and do not


class Errors(NamedTuple):
    """How often a candidate is let through that should not be, by Student's t and by the gate."""

    t_step: float
    step: float
    t_total: float
    total: float


def champion(generator: np.random.Generator, rows: int) -> Numbers:
    """Absolute errors as of delays: a long tail, 16 minutes on average."""
    return 10 * np.exp(generator.normal(size=rows))


def normal(generator: np.random.Generator, rows: int) -> tuple[Numbers, Numbers]:
    """Differences that are normal."""
    theirs = champion(generator, rows)
    return -theirs + generator.normal(0, SPREAD, rows), -theirs


def long_tailed(side: int) -> Draw:
    """Differences with a long tail on one side: most rows hardly differ, some by much (log-normal, skewness 6)."""

    def draw(generator: np.random.Generator, rows: int) -> tuple[Numbers, Numbers]:
        theirs = champion(generator, rows)
        tail = np.exp(generator.normal(size=rows))
        scale = SPREAD / np.sqrt((np.e - 1) * np.e)
        return -theirs + side * scale * (tail - np.exp(0.5)), -theirs

    return draw


def faulty(expected: float, cost: float) -> Draw:
    """A candidate that is a little better on all rows but some few, on which it loses much."""

    def draw(generator: np.random.Generator, rows: int) -> tuple[Numbers, Numbers]:
        theirs = champion(generator, rows)
        share = expected / rows
        has_fault = generator.random(rows) < share
        return -theirs + generator.normal(0, 0.5, rows) + cost * share - cost * has_fault, -theirs

    return draw


def errors(draw: Draw, rows: int, runs: int, margin: float = 1.0) -> Errors:
    """Return how often each test errs: the step at no gain, the total at a candidate that is worse by its margin."""
    generator, passed = np.random.default_rng([rows, runs]), np.zeros(4)
    of_total = ERROR / VERDICTS
    z = z_at(of_total)
    for _ in range(runs):
        ours, theirs = draw(generator, rows)
        found = paired_losses.compare(ours, theirs)
        worse = paired_losses.compare(ours - margin, theirs)
        passed += (
            _student(found, 0.0) <= ERROR,
            paired_losses.chance(found) <= ERROR,
            _student(worse, margin) <= of_total,
            paired_losses.score(worse, margin) >= z,
        )
    return Errors(*(passed / runs).tolist())


def power(draw: Draw, rows: int, runs: int, gain: float, error: float) -> float:
    """Return how often the step finds a candidate that is better by so much."""
    generator = np.random.default_rng([rows, runs])
    found = 0
    for _ in range(runs):
        ours, theirs = draw(generator, rows)
        found += paired_losses.chance(paired_losses.compare(ours + gain, theirs)) <= error
    return found / runs


def _student(losses: paired_losses.Losses, margin: float) -> float:
    t = (losses.mean + margin) / losses.deviation * losses.rows**0.5
    return float(stdtr(losses.rows - 1, -t))


SCENARIOS: dict[str, Draw] = {
    "normal": normal,
    "long tail of gains": long_tailed(1),
    "long tail of losses": long_tailed(-1),
    **{f"{rows:g} faults of {FAULT_MIN:g} min expected": faulty(rows, FAULT_MIN) for rows in FAULTS},
    **{f"{rows:g} faults of {UNHEARD_OF_MIN:g} min expected": faulty(rows, UNHEARD_OF_MIN) for rows in (1.0, 3.0)},
}


def campaign(runs: int, sizes: Sequence[int] = ROWS) -> None:
    """Print how often each test errs, and how often the step finds what is said to be found four times in five."""
    print("| differences, rows | Student's t, step | step | Student's t, total | total |")
    print("|---|--:|--:|--:|--:|")
    for name, draw in SCENARIOS.items():
        for rows in sizes:
            shown = " | ".join(f"{100 * share:.2f} %" for share in errors(draw, rows, runs))
            print(f"| {name}, {rows} rows | {shown} |", flush=True)
    print()
    for rows in sizes:
        losses = paired_losses.compare(*normal(np.random.default_rng(rows), rows))
        gain = paired_losses.detectable_gain(losses, error=ERROR)
        print(f"{rows} rows: a gain of {gain:.2f} min is found in {100 * power(normal, rows, runs, gain, ERROR):.0f} %")


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs a cell ({RUNS})")
    campaign(parser.parse_args().runs)


if __name__ == "__main__":
    main()
