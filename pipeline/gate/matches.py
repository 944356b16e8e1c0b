"""The candidate beside the models before it: the scores of each on the same test rows, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gate.paired import Counts, count
from pipeline.recipe.task import Slices
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
    """Champion and anchor, and on how many rows the candidate scores higher and lower than each."""

    champion: Identity
    anchor: Identity
    with_champion: Counts
    with_anchor: Counts


@dataclass(frozen=True)
class Matches:
    """The candidate's scores, those of the champion and of the anchor, and the slices of the rows by their column."""

    candidate: Scores
    champion: Scored
    anchor: Scored
    slices: Mapping[str, Slices]
    seed: int

    @property
    def with_champion(self) -> Counts:
        """On how many rows the candidate scores higher and lower than the champion."""
        return count(self.candidate, self.champion.scores)

    @property
    def with_anchor(self) -> Counts:
        """On how many rows the candidate scores higher and lower than the anchor."""
        return count(self.candidate, self.anchor.scores)

    @property
    def counted(self) -> Counted:
        """The counts alone."""
        return Counted(self.champion.identity, self.anchor.identity, self.with_champion, self.with_anchor)

    def of_slice(self, column: str, value: str) -> npt.NDArray[np.bool_]:
        """Return which rows are in a slice, `[row] bool`."""
        divided = self.slices[column]
        mask: npt.NDArray[np.bool_] = divided.number_of == divided.names.index(value)
        return mask
