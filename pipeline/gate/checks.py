"""The checks that a verdict is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.recipe.bounds import Off
from pipeline.records.verdict import GateCheck

FIRST = "first"  # the check of a model that has nobody to meet
PARAMETERS = "parameters"  # the check of how many the candidate has
_FIGURE_DIGITS = 6
_SAME = 1e-9  # a quantile's last bits may differ between machines


@dataclass(frozen=True)
class Asked:
    """What a check is held to: a bound that its figure must not be below, or above; or it is off, with the reason.

    Where it `may_be_off`, what it is about may have too few rows to be judged.
    """

    bound: float | Off
    is_minimum: bool = True
    may_be_off: bool = False

    def problem(self, check: GateCheck) -> str | None:
        """Return why a check cannot be the one asked for; None if nothing contradicts that."""
        if isinstance(self.bound, Off):
            return None if check == off(check.name, self.bound.none) else "is off in the recipe"
        if check.outcome == "off":
            return None if self.may_be_off else "is not off in the recipe"
        if check.bound is None or not math.isclose(check.bound, self.bound, rel_tol=_SAME):
            return f"is held to {check.bound}, not {self.bound:g}"
        if check.outcome == "pass" and check.figure is not None:
            beyond = check.figure < check.bound if self.is_minimum else check.figure > check.bound
            return f"passes with {check.figure:g}, bound {check.bound:g}" if beyond else None
        return None


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
