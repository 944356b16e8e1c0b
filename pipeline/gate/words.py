"""What the counts of a match say, in words."""

from __future__ import annotations

from pipeline.gate.paired import Counts, detectable_gain, rows_for_gain
from pipeline.records.identity import Identity

_A_POINT = 0.01
_SMALLEST = 1e-4


def number(count: int) -> str:
    """Return a count with its thousands apart: 2 000."""
    return f"{count:,}".replace(",", " ")


def points(share: float) -> str:
    """Return a share of rows in points: 0.014 is 1.4 points."""
    shown = f"{round(100 * share, 4):g}"
    return f"{shown} point{'' if shown == '1' else 's'}"


def percent(share: float) -> str:
    """Return a share in per cent: 5.8 %."""
    return "less than 0.01 %" if 0 < share < _SMALLEST else f"{100 * share:.3g} %"


def beside(counts: Counts, role: str, other: Identity) -> str:
    """Return how a candidate did beside another model: `70 rows won, 46 lost of 2 000 against champion v3`."""
    won = f"{number(counts.won)} row{'' if counts.won == 1 else 's'} won"
    return f"{won}, {number(counts.lost)} lost of {number(counts.rows)} against {role} v{other.version}"


def power(counts: Counts, error: float, total: tuple[float, float] | None) -> str:
    """Return which gain so many rows and differences would show, and how many rows a gain of one point needs."""
    if counts.won == counts.lost == 0:
        return f"{number(counts.rows)} rows, on all of which the two answer alike: no gain can be found"
    share = percent((counts.won + counts.lost) / counts.rows)
    gain = detectable_gain(counts, error=error, total=total)
    needed = rows_for_gain(counts, _A_POINT, error=error, total=total)
    return (
        f"{number(counts.rows)} rows, exactly one of the two right on {share}: a gain of {points(round(gain, 3))} "
        f"would be found four times in five; +1 point needs {number(needed)} rows"
    )
