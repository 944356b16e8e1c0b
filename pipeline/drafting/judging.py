"""What so many test rows can show: a floor, and the margins of the gate's rule, with what they mean in words.

The formulas are the gate's own (`gate/intervals.py`, `gate/paired.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.gate.intervals import of_share
from pipeline.gate.paired import Counts, has_power, rows_needed, z_at
from pipeline.gate.words import number, percent, points

ERROR, VERDICTS, CONFIDENCE = 0.05, 365, 0.95  # as the gate has them by default
_MARGINS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.49)
_WIDEST_OF_SLICE = 0.2
_APART, _APART_IN_SLICE = 0.05, 0.1  # shares of rows on which two equal models differ, retrained on slightly other data
_MOST_GUESSED = 0.98  # above it, halfway would round to no mistake at all
_NOT_YET = "not known before a first model has run; set it to what the model must reach"


class Gate(NamedTuple):
    """`gate` of a recipe as plain values, and in words what its floor and its total margin S mean."""

    values: dict[str, Any]
    floor: str
    margin: str


def gate(test_rows: Mapping[str, int], bounded: Mapping[str, Mapping[str, Any]]) -> Gate:
    """Return the gate for so many test rows of each class. `bounded` are the bounds that the recipe below has.

    Those that are not drafted are switched off with a reason: they are another model's.
    """
    rows = sum(test_rows.values())
    floor, floor_said = _floor(test_rows, rows)
    total, total_said = _total(rows)
    minimum: dict[str, Any] = {"accuracy": floor}
    maximum: dict[str, Any] = {}
    for side, given in ((minimum, bounded.get("minimum", {})), (maximum, bounded.get("maximum", {}))):
        side |= {name: {"none": _NOT_YET} for name in given if name not in side}
    rule = {"error": ERROR, "total_margin": total, "verdicts": VERDICTS, **_slices(test_rows)}
    values = {"minimum": minimum, "maximum": maximum, "confidence": CONFIDENCE}
    return Gate({**values, "rule": {"name": "better", "settings": rule}}, floor_said, total_said)


def _floor(test_rows: Mapping[str, int], rows: int) -> tuple[float, str]:
    """Return the floor of the accuracy: halfway between always naming the largest class, and no mistake.

    Where that would round to no mistake at all, it is what always naming the largest class reaches.
    """
    largest = max(test_rows, key=lambda name: test_rows[name])
    guessed = test_rows[largest] / rows
    floor, what = guessed, f"is what always naming '{largest}' reaches"
    if guessed < _MOST_GUESSED:
        floor = round((1 + guessed) / 2, 2)
        what = f"lies halfway between always naming '{largest}' ({guessed:.3g}) and no mistake"
    needed = next((hits for hits in _from(floor, rows) if of_share(hits, rows, CONFIDENCE).low >= floor), None)
    shown = f"a measured {needed / rows:.4g} or more" if needed is not None else "no result on so few rows"
    return floor, (
        f"{floor:g} {what}; on {number(rows)} test rows {shown} shows it at {100 * CONFIDENCE:g} % confidence. Set it "
        "to what the model must reach"
    )


def _from(floor: float, rows: int) -> range:
    return range(math.ceil(floor * rows), rows + 1)


def _total(rows: int) -> tuple[Any, str]:
    """Return S: the least margin of a scale at which an equal model passes every second time."""
    z = z_at(ERROR / VERDICTS)
    apart = _counts(rows, _APART)
    fits = [margin for margin in _MARGINS if rows and has_power(apart, margin, z)]
    if not fits:
        why = f"{number(rows)} test rows show no margin below a half"
        return {"none": why}, f"{why}; take more test rows"
    margin, of_a_point = fits[0], number(_rows_for(0.01, z))
    return margin, (
        f"S = {points(margin)}: on {number(rows)} test rows a model that is as good, and answers otherwise on "
        f"{percent(_APART)} of them, passes every second time; S = 1 point needs {of_a_point} such rows, and on fewer "
        f"than {number(rows_needed(margin, ERROR / VERDICTS))} rows nothing passes this S"
    )


def _rows_for(margin: float, z: float) -> int:
    """Return the fewest rows, to two digits, at which an equal model passes such a total margin every second time."""
    rows = 16
    while not has_power(_counts(rows, _APART), margin, z):
        rows = math.ceil(rows * 1.02) + 1
    digits = max(0, len(str(rows)) - 2)
    unit = int(10**digits)
    return math.ceil(rows / unit) * unit


def _slices(test_rows: Mapping[str, int]) -> dict[str, Any]:
    """Return the margin of a class, and the classes that have too few test rows for any."""
    z = z_at(ERROR)
    least = {name: _least(_counts(rows, _APART_IN_SLICE), z) for name, rows in test_rows.items()}
    judged = [margin for margin in least.values() if margin is not None]
    values: dict[str, Any] = {"slice_margin": max(judged, default=_WIDEST_OF_SLICE)}
    few = {name: f"only {number(test_rows[name])} test rows" for name, margin in least.items() if margin is None}
    return {**values, "unjudged": {"class": few}} if few else values


def _least(counts: Counts, z: float) -> float | None:
    fits = (margin for margin in _MARGINS if margin <= _WIDEST_OF_SLICE)
    return next((margin for margin in fits if counts.rows and has_power(counts, margin, z)), None)


def _counts(rows: int, apart: float) -> Counts:
    """Return the counts of two models that are equally good and differ on a share of rows."""
    half = max(1, round(rows * apart / 2))
    return Counts(rows, half, half)
