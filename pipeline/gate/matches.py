"""The candidate beside the models before it: the scores of each on the same test rows, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.gate.match import Match, meet
from pipeline.recipe.task import Slices, rows_of
from pipeline.records.identity import Identity
from pipeline.storage.judged_rows import Keys

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """A registered model and its scores, `[row] float64`: higher is better.

    `judged_by` are the keys of the test rows that it was judged by (see `storage.judged_rows`); None if not known.
    """

    identity: Identity
    scores: Scores
    judged_by: Keys | None = None


@dataclass(frozen=True)
class Counted:
    """Champion and anchor, and what the candidate's match with each came to."""

    champion: Identity
    anchor: Identity
    with_champion: Match
    with_anchor: Match

    @property
    def matches(self) -> tuple[Match, Match]:
        """Both matches."""
        return self.with_champion, self.with_anchor


@dataclass(frozen=True)
class Matches:
    """The candidate's scores, those of the champion and of the anchor, and the slices of the rows by their column.

    `is_share` says that a score is right or wrong; otherwise it is a loss.
    """

    candidate: Scores
    champion: Scored
    anchor: Scored
    slices: Mapping[str, Slices]
    seed: int
    is_share: bool = True

    @cached_property
    def with_champion(self) -> Match:
        """What the candidate's match with the champion came to."""
        return meet(self.candidate, self.champion.scores, is_share=self.is_share)

    @cached_property
    def with_anchor(self) -> Match:
        """What the candidate's match with the anchor came to."""
        return meet(self.candidate, self.anchor.scores, is_share=self.is_share)

    def with_anchor_on(self, column: str, value: str) -> Match:
        """What the candidate's match with the anchor came to on the rows of a slice."""
        rows = self.of_slice(column, value)
        return meet(self.candidate[rows], self.anchor.scores[rows], is_share=self.is_share)

    @property
    def counted(self) -> Counted:
        """What both came to, without the rows."""
        return Counted(self.champion.identity, self.anchor.identity, self.with_champion, self.with_anchor)

    def of_slice(self, column: str, value: str) -> npt.NDArray[np.bool_]:
        """Return which rows are in a slice, `[row] bool`."""
        return rows_of(self.slices[column], value)
