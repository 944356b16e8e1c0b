"""How often the gate's rules err: a night, a year of nights, the limits of a figure, and the time of the arithmetic.

    python benchmarks/gate.py               (`make gate-campaign`: about ten minutes on a quiet core)

Models, rows and nights are simulated (`gate_simulation.py`), so what is true of each model is known; what judges them
is the gate's own code. Prints the tables of `docs/gate.md` and writes their curves to `docs/images/`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import gate_losses
from benchmarks import gate_simulation as simulation
from benchmarks.gate_simulation import ACCURACY, CLASSES, RULES, SLICE_MARGIN, TOTAL_MARGIN, Nights, Rule, Shares
from pipeline.evaluation.drawing import BLUE, INK, ORANGE, grid, svg
from pipeline.gate import intervals, paired
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RUNS, NIGHTS = 2000, 365
TABLE_DIFFERENCES = (-0.01, 0.0, 0.01, 0.02)
CURVE_DIFFERENCES = np.arange(-30, 31, 2) / 1000
NARROWER_MARGIN = 0.05  # of a class, to see what that costs where a class has few rows
LOST = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0)  # rows expected
COLOURS = {"better": BLUE, "refresh": ORANGE, "margin": INK}
HAIR = 1e-9


def one_night(runs: int, rows: int, rule: Rule, difference: float) -> float:
    """Return how often one is promoted that truly differs by so much from the champion, alike in every class."""
    nights = Nights(runs, rows // CLASSES, True, np.random.default_rng([rows, round(1e4 * (difference + 1))]))
    return float(nights.judge(np.full(CLASSES, ACCURACY + difference), rule).mean())


def _one_class(night: int) -> Shares:
    accuracy = np.full(CLASSES, ACCURACY)
    accuracy[0] = max(ACCURACY - 0.002 * night, 0.05)
    return accuracy


SCENARIOS: dict[str, Callable[[int], Shares]] = {
    "equal models": lambda _: np.full(CLASSES, ACCURACY),
    "slow rot, 0.05 points a night": lambda night: np.full(CLASSES, ACCURACY - 0.0005 * night),
    "slow gain, 0.02 points a night": lambda night: np.full(CLASSES, ACCURACY + 0.0002 * night),
    "one class loses 0.2 points a night": _one_class,
}


@dataclass(frozen=True)
class Year:
    """What came of many years: shares of years, and the champion's true accuracy by night, `[night]`."""

    promotions: float  # a year
    slipped: float  # more than S below the anchor in force, on any night
    below_first: float  # more than S below the first champion, on any night
    class_slipped: float  # a class more than the slices' margin below the anchor
    accuracy: Shares


def year(runs: int, rows: int, are_rows_kept: bool, rule: Rule, candidate: Callable[[int], Shares]) -> Year:
    """Let a candidate a night be judged for a year."""
    nights = Nights(runs, rows // CLASSES, are_rows_kept, np.random.default_rng([rows, are_rows_kept]))
    slipped, below_first, class_slipped = np.zeros((3, runs), np.bool_)
    promotions, accuracy = 0, np.empty(NIGHTS)
    for night in range(NIGHTS):
        promotions += int(nights.judge(candidate(night + 1), rule).sum())
        champion, anchor = nights.champion.mean(axis=0), nights.anchor.mean(axis=0)
        slipped |= champion < anchor - TOTAL_MARGIN - HAIR
        below_first |= champion < ACCURACY - TOTAL_MARGIN - HAIR
        class_slipped |= (nights.champion < nights.anchor - SLICE_MARGIN - HAIR).any(axis=0)
        accuracy[night] = champion.mean()
    return Year(
        promotions=promotions / runs,
        slipped=float(slipped.mean()),
        below_first=float(below_first.mean()),
        class_slipped=float(class_slipped.mean()),
        accuracy=accuracy,
    )


def coverage_of_share(rows: int, lost: float) -> float:
    """Return how often the lower limit of a share is at most the truth: worked out, not simulated."""
    hits = np.arange(rows + 1)
    holds = [intervals.of_share(int(number), rows, 0.95).low <= 1 - lost / rows for number in hits]
    return float(binom.pmf(hits, rows, 1 - lost / rows)[holds].sum())


def coverage_of_score(rows: int, lost: float) -> float:
    """Return how often the score does not pass a model that is worse by exactly the margin and wins nothing."""
    number = np.arange(rows + 1)
    refused = paired.tango(np.zeros(rows + 1), number.astype(np.float64), rows, lost / rows) < paired.z_at(0.05)
    return float(binom.pmf(number, rows, lost / rows)[refused].sum())


def coverage_of_percentile(rows: int, lost: float) -> float:
    """Return how often the limit of the rule before is at most the truth, for a model that wins nothing."""
    number = np.arange(rows + 1)
    held = [simulation.old_limit_of(0, int(each), rows) <= -lost / rows for each in number]
    return float(binom.pmf(number, rows, lost / rows)[held].sum())


def coverage_of_mean(runs: int, rows: int, lost: float, noise: float) -> float:
    """Return the same for a mean of values: `lost` rows are expected to have 0, the others 1 less some noise."""
    generator, held = np.random.default_rng([rows, round(10 * lost)]), 0
    truth = (1 - lost / rows) * (1 - noise / 2)
    for number in range(runs):
        values = np.where(generator.random(rows) < lost / rows, 0.0, 1 - noise * generator.random(rows))
        held += intervals.of_mean(values, 0.95, 400, (number,), low=0, high=1).low <= truth
    return held / runs


LIMITS: dict[str, Callable[[int, int, float], float]] = {
    "percentile bootstrap, as before": lambda _, rows, lost: coverage_of_percentile(rows, lost),
    "Clopper–Pearson": lambda _, rows, lost: coverage_of_share(rows, lost),
    "Tango's score at 95 %": lambda _, rows, lost: coverage_of_score(rows, lost),
    "studentized bootstrap, right or wrong": lambda runs, rows, lost: coverage_of_mean(runs, rows, lost, 0.0),
    "studentized bootstrap, other values": lambda runs, rows, lost: coverage_of_mean(runs, rows, lost, 0.2),
}


def arithmetic(rows: int = 1_000_000) -> dict[str, float]:
    """Return the seconds that the gate's arithmetic takes on so many rows of ten classes, by what it works out."""
    from scipy import special  # noqa: F401 - imported once for all: not part of what is measured

    generator = np.random.default_rng(0)
    labels = np.arange(rows) % CLASSES
    answers = generator.random((rows, CLASSES), dtype=np.float32) + 2 * np.eye(CLASSES, dtype=np.float32)[labels]
    answers[:100] = 1
    answers /= answers.sum(axis=1, keepdims=True)
    task = task_of(Choice(name="classification"), [str(number) for number in range(CLASSES)])
    ours = task.score(labels, answers)
    theirs = np.where(generator.random(rows) < 0.03, 1 - ours, ours)
    seconds = {}

    def match() -> None:
        counts = paired.count(ours, theirs)
        paired.mid_p(counts)
        paired.tango(counts.won, counts.lost, rows, TOTAL_MARGIN)
        for number in range(CLASSES):
            in_class = paired.count(ours[labels == number], theirs[labels == number])
            paired.tango(in_class.won, in_class.lost, in_class.rows, SLICE_MARGIN)

    def match_twice() -> None:
        match()
        match()

    def limits_of(metric: str) -> Callable[[], None]:
        def limits() -> None:
            values = task.row_values(labels, answers).of(metric)
            assert values is not None
            intervals.of_mean(values, 0.95, 2000, (0,), low=0, high=20)

        return limits

    timed: dict[str, Callable[[], Any]] = {
        "step, total and ten slices against champion and anchor": match_twice,
        "limits of accuracy": lambda: intervals.of_share(int(ours.sum()), rows, 0.95),
        **{f"limits of {name}": limits_of(name) for name in ("macro_f1", "cross_entropy", "calibration_error")},
    }
    for name, work in timed.items():
        begun_s = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - begun_s
    return seconds


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as Markdown, figures to the right."""
    print(f"| {' | '.join(columns)} |\n|{'|'.join('---' if not place else '--:' for place in range(len(columns)))}|")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def spaced(number: int) -> str:
    """Return a whole number in words: 10 000."""
    return f"{number:,}".replace(",", " ")


def percent(share: float) -> str:
    """Return a share in words: 2.35 %."""
    return f"{100 * share:.4g} %"


def draw_nights(curves: dict[int, dict[str, list[float]]]) -> bytes:
    """Draw how often each rule promotes, by the candidate's true difference, one panel for each number of rows."""

    def draw(figure: Any) -> None:
        for place, (rows, by_rule) in enumerate(curves.items()):
            axes = figure.add_subplot(1, len(curves), place + 1)
            for name, shares in by_rule.items():
                axes.plot(100 * CURVE_DIFFERENCES, [100 * share for share in shares], color=COLOURS[name], label=name)
            axes.set(title=f"{spaced(rows)} test rows", xlabel="true difference, points", ylim=(-2, 102))
            if not place:
                axes.set_ylabel("promoted, % of nights")
                axes.legend(loc="upper left")
            grid(axes)
        figure.tight_layout()

    return svg((3.1 * len(curves), 3.0), draw)


def draw_years(years: dict[str, dict[str, Year]]) -> bytes:
    """Draw the champion's true accuracy over a year, one panel for each scenario."""

    def draw(figure: Any) -> None:
        for place, (scenario, by_rule) in enumerate(years.items()):
            axes = figure.add_subplot(2, 2, place + 1)
            for name, found in by_rule.items():
                axes.plot(range(1, NIGHTS + 1), 100 * found.accuracy, color=COLOURS[name], label=name)
            axes.set(title=scenario, xlabel="night", ylabel="champion's accuracy, %")
            if not place:
                axes.set(ylim=(88, 92))
            axes.legend(loc="best")
            grid(axes)
        figure.tight_layout()

    return svg((8.0, 5.6), draw)


def draw_coverage(found: dict[str, dict[int, list[float]]]) -> bytes:
    """Draw how often each limit holds the truth, by the lost rows expected."""

    def draw(figure: Any) -> None:
        for place, (name, by_rows) in enumerate(found.items()):
            axes = figure.add_subplot(1, len(found), place + 1)
            for (rows, shares), colour in zip(by_rows.items(), (ORANGE, BLUE, INK), strict=True):
                axes.plot(LOST, [100 * share for share in shares], color=colour, marker=".", label=f"{rows} rows")
            axes.axhline(95, color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (2, 3)))
            axes.set(title=name.replace(", ", ",\n"), xlabel="lost rows expected")
            axes.set_ylim(min(89.0, 100 * min(map(min, by_rows.values())) - 3), 100.5)
            if not place:
                axes.set_ylabel("limit holds the truth, %")
                axes.legend(loc="lower right")
            grid(axes)
        figure.tight_layout()

    return svg((2.6 * len(found), 3.0), draw)


def nights_campaign(runs: int, images: Path) -> None:
    """Print and draw one night."""
    wider: dict[str, Rule] = {
        f"better, {100 * NARROWER_MARGIN:g} points a class": partial(simulation.better, slice_margin=NARROWER_MARGIN)
    }
    rules: dict[str, Rule] = {**RULES, **wider, "better, without classes": simulation.step_and_total}
    rows_of = (2000, 4000, 10_000)
    table(
        (
            "test rows, rule",
            *(f"{100 * difference:+g} points" if difference else "equal" for difference in TABLE_DIFFERENCES),
        ),
        (
            (
                f"{spaced(rows)}, `{name}`",
                *(percent(one_night(runs, rows, rule, difference)) for difference in TABLE_DIFFERENCES),
            )
            for rows in rows_of
            for name, rule in rules.items()
        ),
    )
    curves = {
        rows: {
            name: [one_night(runs, rows, rule, float(step)) for step in CURVE_DIFFERENCES]
            for name, rule in RULES.items()
        }
        for rows in rows_of
    }
    (images / "gate-one-night.svg").write_bytes(draw_nights(curves))


def years_campaign(runs: int, images: Path) -> None:
    """Print and draw a year."""
    drawn: dict[str, dict[str, Year]] = {scenario: {} for scenario in SCENARIOS}

    def rows() -> Iterable[Sequence[str]]:
        for scenario, candidate in SCENARIOS.items():
            for name, rule in RULES.items():
                for size in (2000, 10_000):
                    for are_kept in (True, False):
                        if (size == 2000 and name != "better") or (are_kept and name == "margin"):
                            continue  # the default in every case, the others for comparison
                        found = year(runs, size, are_kept, rule, candidate)
                        if size == 10_000 and not are_kept:
                            drawn[scenario][name] = found
                        yield (
                            scenario,
                            f"`{name}`",
                            f"{spaced(size)} {'kept' if are_kept else 'renewed'}",
                            f"{found.promotions:.1f}",
                            percent(found.slipped),
                            percent(found.below_first),
                            percent(found.class_slipped),
                            f"{100 * found.accuracy[-1]:.2f} %",
                        )

    table(
        (
            "candidates",
            "rule",
            "test rows",
            "promotions",
            "over 1 point below the anchor",
            "over 1 point below the first champion",
            f"a class over {100 * SLICE_MARGIN:g} points below the anchor",
            "accuracy at the end",
        ),
        rows(),
    )
    (images / "gate-a-year.svg").write_bytes(draw_years(drawn))


def coverage_campaign(runs: int, images: Path) -> None:
    """Print and draw how often limits hold the truth."""
    found: dict[str, dict[int, list[float]]] = {}
    for name, coverage in LIMITS.items():
        found[name] = {rows: [coverage(runs, rows, lost) for lost in LOST] for rows in (30, 100, 300)}
    table(
        ("limit, rows", *(f"{lost:g} lost" for lost in LOST)),
        (
            (f"{name}, {rows} rows", *(f"{100 * share:.1f} %" for share in shares))
            for name, by_rows in found.items()
            for rows, shares in by_rows.items()
        ),
    )
    fine = np.arange(0.5, 5.01, 0.05)
    for name, exact in (("Clopper–Pearson", coverage_of_share), ("Tango's score at 95 %", coverage_of_score)):
        least, rows, lost = min((exact(rows, lost), rows, lost) for rows in (30, 100, 300) for lost in fine)
        print(f"{name}: least {percent(least)}, at {rows} rows and {lost:.2f} lost rows expected")
    print()
    (images / "gate-limits.svg").write_bytes(draw_coverage(found))


def losses_campaign(runs: int, images: Path) -> None:  # noqa: ARG001 - nothing of it is drawn
    """Print how often the gate errs where scores are losses."""
    gate_losses.campaign(runs)


def main() -> None:
    """Run the campaign, or a part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {
        "nights": nights_campaign,
        "years": years_campaign,
        "limits": coverage_campaign,
        "losses": losses_campaign,
    }
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs a cell ({spaced(RUNS)})")
    parser.add_argument("--only", choices=(*parts, "time"), help="one part of it")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder for the curves (docs/images)")
    arguments = parser.parse_args()
    for name, campaign in parts.items():
        if arguments.only in (None, name):
            campaign(arguments.runs, arguments.images)
    if arguments.only in (None, "time"):
        seconds = arithmetic()
        table(("on a million rows", "seconds"), ((name, f"{spent:.2f}") for name, spent in seconds.items()))
        print(f"together {sum(seconds.values()):.2f} s (asked: under 2 s)")


if __name__ == "__main__":
    main()
