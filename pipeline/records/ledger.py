"""One line of the ledger of verdicts: what was judged by what, against whom, and how it ended."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from pipeline.records.digests import digest_json
from pipeline.records.record import Record
from pipeline.records.verdict import REFUSE, Matched, Verdict, VerdictOutcome

_LONGEST_BY = 200  # characters


class LedgerLine(Record):
    """A verdict on a model's candidate, as `register` keeps it. Models, test rows and rule stand as digests.

    `number` begins with 1; `before` holds the digest of the line before it: none of the first, and both where two
    machines have written at once. `by` and `at_utc` say who asked for the run, and when the line was written.
    """

    name: str
    number: int
    before: tuple[str, ...]
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

    @classmethod
    def of(cls, verdict: Verdict, *, name: str, number: int, before: tuple[str, ...], by: str, at_utc: str) -> Self:
        """Return the line that holds a verdict."""
        return cls(
            name=name,
            number=number,
            before=before,
            candidate=verdict.candidate,
            champion=verdict.champion.digest if verdict.champion else None,
            anchor=verdict.anchor.digest if verdict.anchor else None,
            rule=verdict.rule_digest,
            test=verdict.test_digest,
            against_champion=verdict.against_champion,
            against_anchor=verdict.against_anchor,
            outcome=verdict.outcome,
            moves_anchor=verdict.moves_anchor,
            by=by[:_LONGEST_BY],
            at_utc=at_utc,
        )

    @cached_property
    def digest(self) -> str:
        """The digest of the line."""
        return digest_json(self.to_json())

    @property
    def judged(self) -> tuple[object, ...]:
        """What the verdict is made of: alike for two lines that hold the same one, whoever asked for it and when."""
        return (*self._of, *self._is)

    def contradicts(self, other: LedgerLine) -> bool:
        """Return whether two lines hold different verdicts on the same models, test rows and rule: one is not true.

        A candidate may be refused because it could not be compared, as long as files are gone: that contradicts
        nothing.
        """
        return self._of == other._of and self._is != other._is and not (self._is_closed or other._is_closed)

    @property
    def _of(self) -> tuple[object, ...]:
        """What decides a verdict."""
        return self.candidate, self.champion, self.anchor, self.rule, self.test

    @property
    def _is(self) -> tuple[object, ...]:
        """What follows from it. Rows won and lost are not in it: another processor may answer a row otherwise."""
        return self.outcome, self.moves_anchor

    @property
    def _is_closed(self) -> bool:
        return self.champion is not None and self.against_champion is None and self.outcome == REFUSE
