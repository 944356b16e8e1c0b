"""`reports/verdict.json`: every check of the gate with its figure, its bound and its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from pipeline.records.identity import Identity
from pipeline.records.record import Record

PROMOTE: Literal["promote"] = "promote"
REFUSE: Literal["refuse"] = "refuse"
VerdictOutcome = Literal["promote", "refuse"]
_BEFORE_ANCHORS = {
    "anchor": None,
    "rule": "",
    "rule_digest": "",
    "test_digest": "",
    "against_champion": None,
    "against_anchor": None,
    "moves_anchor": False,
    "shows": "",
}
_BEFORE_RENEWALS = {"renewal": None, "over_use": ""}
_VERSION_WITH_RENEWALS, _VERSION_WITH_LOSSES = 3, 4


class GateCheck(Record):
    """One check of a verdict. `figure` or `bound` is None if the check has none.

    `off`: the recipe switches it off; the sentence is its reason.
    """

    name: str
    figure: float | int | None
    bound: float | int | None
    outcome: Literal["pass", "fail", "off"]
    sentence: str

    @property
    def has_passed(self) -> bool:
        """Whether the candidate passed it, or did not have to."""
        return self.outcome != "fail"


class Differences(Record):
    """How much higher a candidate scores than another model, over rows: what a test on the mean of that needs.

    `mean`, `deviation` and `reach` (between the best and the worst score of either) are in the unit of the score.
    """

    mean: float
    deviation: float
    skewness: float
    reach: float

    @model_validator(mode="after")
    def _are_figures_of_rows(self) -> Self:
        if self.deviation < 0 or self.reach < 0:
            raise ValueError(f"a deviation of {self.deviation:g} within a reach of {self.reach:g}")
        return self


class Matched(Record):
    """A candidate beside another model on the same rows: on how many it scores higher (won) and lower (lost).

    `differences` are known where a score is more than right or wrong. Where it is not, the key is left out: a line of
    the ledger has the digest that it had before there was one.
    """

    rows: int
    won: int
    lost: int
    differences: Differences | None = None

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialise(self)
        if values.get("differences") is None:
            values.pop("differences", None)
        return values

    @model_validator(mode="after")
    def _are_counts_of_the_rows(self) -> Self:
        if not (self.won >= 0 and self.lost >= 0 and self.won + self.lost <= self.rows):
            raise ValueError(f"{self.won} won and {self.lost} lost of {self.rows} rows")
        return self


class Share(Record):
    """A model's figure on so many rows, and the limits between which it lies; None without rows, or without a limit."""

    rows: int
    figure: float | None
    low: float | None
    high: float | None


class Renewal(Record):
    """The champion's figure, called `title`, on `today`'s test rows: all, those it was judged by, and those since.

    Limits are at `confidence` on either side. `gone` counts the rows it was judged by that are no test rows any more.
    """

    title: str
    confidence: float
    unit: str = ""
    is_lower_better: bool = False
    today: Share
    judged_by: Share
    since: Share
    gone: int


class Verdict(Record):
    """The gate's verdict on a candidate, named by its digest.

    It was compared with the champion and the anchor: the champion that was last proven better than the anchor before
    it. `rule` is the name of the rule, `rule_digest` of all that decides it besides models and rows, `test_digest` of
    the test rows. If the candidate is promoted, it is the new anchor where it `moves_anchor`. `shows` says in words
    which gain these test rows can show, `over_use` what the champion's figures on older and newer ones say (`renewal`;
    None if it is not known which rows the champion was judged by). Record version 1 knew no anchor, version 2 no
    renewal, version 3 no scores but right and wrong.
    """

    VERSION: ClassVar[int] = _VERSION_WITH_LOSSES
    outcome: VerdictOutcome
    reason: str
    checks: tuple[GateCheck, ...]
    candidate: str
    champion: Identity | None
    anchor: Identity | None
    rule: str
    rule_digest: str
    test_digest: str
    against_champion: Matched | None
    against_anchor: Matched | None
    moves_anchor: bool
    shows: str
    renewal: Renewal | None
    over_use: str

    @classmethod
    def of(
        cls,
        checks: Sequence[GateCheck],
        reason: str,
        candidate: str,
        champion: Identity | None,
        *,
        anchor: Identity | None = None,
        rule: str = "",
        rule_digest: str = "",
        test_digest: str = "",
        against_champion: Matched | None = None,
        against_anchor: Matched | None = None,
        is_better: bool = False,
        shows: str = "",
        renewal: Renewal | None = None,
        over_use: str = "",
    ) -> Self:
        """Return the verdict that follows from the checks: promote only if there are checks and all have passed.

        A promoted candidate that `is_better` than the anchor takes its place.
        """
        outcome = PROMOTE if _all_pass(checks) else REFUSE
        return cls(
            outcome=outcome,
            reason=reason,
            checks=tuple(checks),
            candidate=candidate,
            champion=champion,
            anchor=anchor,
            rule=rule,
            rule_digest=rule_digest,
            test_digest=test_digest,
            against_champion=against_champion,
            against_anchor=against_anchor,
            moves_anchor=is_better and outcome == PROMOTE,
            shows=shows,
            renewal=renewal,
            over_use=over_use,
        )

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Read record versions 1 to 3."""
        if version < _VERSION_WITH_RENEWALS:
            values = {**_BEFORE_RENEWALS, **values}
        return {**_BEFORE_ANCHORS, **values} if version == 1 else values

    @model_validator(mode="after")
    def _outcome_follows_from_checks(self) -> Self:
        for check in self.checks:
            if check.outcome == "pass" and check.figure is None and check.bound is not None:
                raise ValueError(f"check {check.name} has passed without a figure for its bound")
        if self.outcome != (PROMOTE if _all_pass(self.checks) else REFUSE):
            raise ValueError(f"its outcome '{self.outcome}' contradicts its checks")
        if self.moves_anchor and not self.promotes:
            raise ValueError("it moves the anchor to a candidate that it refuses")
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
    return any(check.outcome == "pass" for check in checks) and all(check.has_passed for check in checks)
