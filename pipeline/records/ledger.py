"""One line of the ledger of verdicts: what was judged by what, against whom, and how it ended."""

from __future__ import annotations

from pipeline.records.digests import digest_json
from pipeline.records.record import Record
from pipeline.records.verdict import Matched, VerdictOutcome


class LedgerLine(Record):
    """A verdict on a model's candidate, as `register` keeps it. Models, test rows and rule stand as digests.

    `number` begins with 1; `before` is the digest of the line before it, "" of the first. `by` and `at_utc` say who
    asked for the run, and when the line was written.
    """

    name: str
    number: int
    before: str
    candidate: str
    champion: str | None
    anchor: str | None
    rule: str
    test: str
    against_champion: Matched | None
    against_anchor: Matched | None
    outcome: VerdictOutcome
    moves_anchor: bool
    by: str
    at_utc: str

    @property
    def digest(self) -> str:
        """The digest of the line."""
        return digest_json(self.to_json())
