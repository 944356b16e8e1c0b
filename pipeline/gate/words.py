"""What a match says, in words."""

from __future__ import annotations

from pipeline.gate import paired_losses
from pipeline.gate.match import Match, is_alike
from pipeline.gate.paired import Counts, detectable_gain, rows_for_gain
from pipeline.gate.paired_losses import Losses
from pipeline.records.identity import Identity

RARE = "values that have too few rows each, and too few together"
_A_POINT = 0.01
_SMALLEST = 1e-4


def number(count: int) -> str:
    """Return a count with its thousands apart: 2 000."""
    return f"{count:,}".replace(",", " ")


def points(share: float) -> str:
    """Return a share of rows in points: 0.014 is 1.4 points."""
    shown = f"{round(100 * share, 4):g}"
    return f"{shown} point{'' if shown == '1' else 's'}"


def amount(value: float, match: Match, unit: str) -> str:
    """Return a margin or a gain of a match in words: in points if rows are right or wrong, otherwise in the unit."""
    return points(value) if isinstance(match, Counts) else in_unit(value, unit)


def in_unit(value: float, unit: str) -> str:
    """Return a figure with its unit, in at most four digits: 0.125 min."""
    return f"{value:.4g} {unit}".rstrip()


def percent(share: float) -> str:
    """Return a share in per cent: 5.8 %."""
    return "less than 0.01 %" if 0 < share < _SMALLEST else f"{100 * share:.3g} %"


def beside(match: Match, role: str, other: Identity, unit: str = "") -> str:
    """Return how a candidate did beside another model: `70 rows won, 46 lost of 2 000 against champion v3`."""
    won = f"{number(match.won)} row{'' if match.won == 1 else 's'} won"
    counted = f"{won}, {number(match.lost)} lost of {number(match.rows)} against {role} v{other.version}"
    if isinstance(match, Counts):
        return counted
    side = "better" if match.mean >= 0 else "worse"
    return f"{in_unit(abs(match.mean), unit)} {side}, {counted}"


def power(match: Match, error: float, total: tuple[float, float] | None, unit: str = "") -> str:
    """Return which gain so many rows and differences would show, and how many rows a smaller one needs."""
    if is_alike(match):
        return f"{number(match.rows)} rows, on all of which the two answer alike: no gain can be found"
    return _of_counts(match, error, total) if isinstance(match, Counts) else _of_losses(match, error, total, unit)


def _of_losses(losses: Losses, error: float, total: tuple[float, float] | None, unit: str) -> str:
    gain = paired_losses.detectable_gain(losses, error=error, total=total)
    differ = f"{number(losses.rows)} rows, on which the two differ by {in_unit(losses.deviation, unit)} (standard"
    if gain <= 0:
        return f"{differ} deviation): any gain would be found"
    needed = paired_losses.rows_for_gain(losses, gain / 2, error=error, total=total)
    return (
        f"{differ} deviation): a gain of {in_unit(gain, unit)} would be found four times in five; "
        f"half of it needs {number(needed)} rows"
    )


def _of_counts(counts: Counts, error: float, total: tuple[float, float] | None) -> str:
    share = percent((counts.won + counts.lost) / counts.rows)
    gain = detectable_gain(counts, error=error, total=total)
    needed = rows_for_gain(counts, _A_POINT, error=error, total=total)
    return (
        f"{number(counts.rows)} rows, exactly one of the two right on {share}: a gain of {points(round(gain, 3))} "
        f"would be found four times in five; +1 point needs {number(needed)} rows"
    )
