"""In how many documents each term occurs, and the vocabulary of those that occur in most.

Counts of pieces are added: neither the pieces nor their order make a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TermCounts:
    """How many documents there are, and in how many of them each term occurs."""

    documents: int
    terms: Counter[str]

    @classmethod
    def of(cls, documents: Iterable[Iterable[str]]) -> TermCounts:
        """Count documents, each given as its terms."""
        count, terms = 0, Counter[str]()
        for document in documents:
            count += 1
            terms.update(set(document))
        return cls(count, terms)

    @classmethod
    def total(cls, pieces: Sequence[TermCounts]) -> TermCounts:
        """Return the counts of several pieces together."""
        terms = Counter[str]()
        for piece in pieces:
            terms.update(piece.terms)
        return cls(sum(piece.documents for piece in pieces), terms)

    def vocabulary(self, most: int, at_least: int) -> list[str]:
        """Return at most so many terms that occur in at least so many documents: those in most first, then by text.

        Texts are compared by their code points, in any locale.
        """
        frequent = ((-count, term) for term, count in self.terms.items() if count >= at_least)
        return [term for _, term in sorted(frequent)[:most]]
