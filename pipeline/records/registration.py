"""`reports/registration.json`: what was published, or why nothing was."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipeline.records.identity import Identity
from pipeline.records.record import Record

RegistrationOutcome = Literal["promoted", "refused", "kept", "held"]


class Registration(Record):
    """The outcome of registering a candidate. `version` is the one that holds it, None if no version does.

    One that is `held` has passed the gate, but not a bound of the machine that registers. `line` is the number of the
    ledger's line that holds the verdict, `verdicts` how many verdicts the ledger holds that were given against the same
    anchor, this one included, and `verdicts_on_rows` how many on the very same test rows, whose digest is `test`.
    `anchor` says who left the anchor that the candidate was held to in force, or who made it the anchor, and why; None
    where nobody did that by hand. Record version 1 knew no ledger, version 2 did not count by rows, nor did it know of
    anybody's hand.
    """

    VERSION: ClassVar[int] = 3
    outcome: RegistrationOutcome
    name: str
    version: int | None
    champion: Identity | None
    sentence: str
    registry: str
    line: int | None = None
    verdicts: int | None = None
    verdicts_on_rows: int | None = None
    test: str = ""
    anchor: str | None = None
