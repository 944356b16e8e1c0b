"""`reports/verdict.json`: every check of the gate with its figure, its bound and its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from pipeline.records.identity import Identity
from pipeline.records.record import Record

PROMOTE: Literal["promote"] = "promote"
REFUSE: Literal["refuse"] = "refuse"
VerdictOutcome = Literal["promote", "refuse"]


class GateCheck(Record):
    """One check of a verdict. `figure` or `bound` is None if the check has none."""

    name: str
    figure: float | int | None
    bound: float | int | None
    outcome: Literal["pass", "fail"]
    sentence: str

    @property
    def has_passed(self) -> bool:
        """Whether the candidate passed it."""
        return self.outcome == "pass"


class Verdict(Record):
    """The gate's verdict on a candidate, named by its digest, and the champion it was compared with."""

    outcome: VerdictOutcome
    reason: str
    checks: tuple[GateCheck, ...]
    candidate: str
    champion: Identity | None

    @classmethod
    def of(cls, checks: Sequence[GateCheck], reason: str, candidate: str, champion: Identity | None) -> Self:
        """Return the verdict that follows from the checks: promote only if there are checks and all have passed."""
        outcome = PROMOTE if _all_pass(checks) else REFUSE
        return cls(outcome=outcome, reason=reason, checks=tuple(checks), candidate=candidate, champion=champion)

    @model_validator(mode="after")
    def _outcome_follows_from_checks(self) -> Self:
        for check in self.checks:
            if check.has_passed and check.figure is None and check.bound is not None:
                raise ValueError(f"check {check.name} has passed without a figure for its bound")
        if self.outcome != (PROMOTE if _all_pass(self.checks) else REFUSE):
            raise ValueError(f"its outcome '{self.outcome}' contradicts its checks")
        return self

    @property
    def promotes(self) -> bool:
        """Whether the candidate may be promoted."""
        return self.outcome == PROMOTE

    @property
    def in_order_of_interest(self) -> list[GateCheck]:
        """The checks, those that failed first."""
        return sorted(self.checks, key=lambda check: check.has_passed)


def _all_pass(checks: Sequence[GateCheck]) -> bool:
    return bool(checks) and all(check.has_passed for check in checks)
