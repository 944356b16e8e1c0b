"""The checks that a verdict is made of."""

from __future__ import annotations

from pipeline.records.verdict import GateCheck

_FIGURE_DIGITS = 6


def check_of(name: str, figure: float | None, bound: float | None, sentence: str, *, passes: bool) -> GateCheck:
    """Return a check that has passed or failed."""
    return GateCheck(name=name, figure=figure, bound=bound, outcome="pass" if passes else "fail", sentence=sentence)


def off(name: str, reason: str) -> GateCheck:
    """Return a check that the recipe switches off."""
    return GateCheck(name=name, figure=None, bound=None, outcome="off", sentence=reason)


def rounded(figure: float, bound: float) -> float:
    """Round a figure for people, unless that would move it onto, or over, its bound."""
    shown = round(figure, _FIGURE_DIGITS)
    is_same_side = (figure < bound, figure > bound) == (shown < bound, shown > bound)
    return shown if is_same_side else figure
