"""In how many documents each term occurs, how many terms these have, and the vocabulary of terms that occur in most.

Counts of pieces are added: neither the pieces nor their order make a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TermCounts:
    """How many documents there are of each length, in terms, and in how many of them each term occurs."""

    lengths: Counter[int]
    terms: Counter[str]

    @property
    def documents(self) -> int:
        """Return how many documents there are."""
        return self.lengths.total()

    @classmethod
    def of(cls, documents: Iterable[Iterable[str]]) -> TermCounts:
        """Count documents, each given as its terms."""
        lengths, terms = Counter[int](), Counter[str]()
        for document in documents:
            of_document = list(document)
            lengths[len(of_document)] += 1
            terms.update(set(of_document))
        return cls(lengths, terms)

    @classmethod
    def total(cls, pieces: Sequence[TermCounts]) -> TermCounts:
        """Return the counts of several pieces together."""
        if len(pieces) == 1:
            return pieces[0]
        lengths, terms = Counter[int](), Counter[str]()
        for piece in pieces:
            lengths.update(piece.lengths)
            terms.update(piece.terms)
        return cls(lengths, terms)

    def vocabulary(self, most: int, at_least: int) -> list[str]:
        """Return at most so many terms that occur in at least so many documents: those in most first, then by text.

        Texts are compared by their code points, in any locale.
        """
        frequent = ((-count, term) for term, count in self.terms.items() if count >= at_least)
        return [term for _, term in sorted(frequent)[:most]]
