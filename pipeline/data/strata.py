"""What the rows of a part are counted by: their classes, or bins of a number that hold about as many rows each.

The edges of bins are quantiles of the rows that are there, each a number that one of them has. So they depend neither
on the order of rows nor on arithmetic. Equal numbers are in one bin: where many are equal, there are fewer bins than
were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[Any]  # [row] int32 of classes, or float64 numbers

Edges = tuple[float, ...]


class Strata(NamedTuple):
    """Strata by name. `edges` are those of a number's bins: bin n is above edge n − 1, up to edge n with that itself.

    Of classes there are none (None), and a label is the stratum. Without any edge, all numbers are in one.
    """

    names: tuple[str, ...]
    edges: Edges | None = None

    @classmethod
    def of_classes(cls, classes: Sequence[str]) -> Strata:
        """Return those of labels that are classes."""
        return cls(tuple(classes))

    @classmethod
    def of_edges(cls, edges: Edges) -> Strata:
        """Return the bins between edges, which are in order."""
        shown = [_shown(edge) for edge in edges]
        if not shown:
            return cls(("all",), ())
        between = [f"{low} – {high}" for low, high in pairwise(shown)]
        return cls((f"≤ {shown[0]}", *between, f"> {shown[-1]}"), edges)

    def of(self, labels: Labels) -> Labels:
        """Return the stratum of each label, `[row]`, an index into the names."""
        return strata_of(labels, self.edges)


def strata_of(labels: Labels, edges: Edges | None) -> Labels:
    """Return the stratum of each label, `[row]`: of bins with these edges, or the label itself if it is a class."""
    if edges is None:
        return labels
    import numpy as np

    return np.searchsorted(np.array(edges, np.float64), labels, side="left")


def quantile_edges(numbers: Labels, quantiles: int) -> Edges:
    """Return the edges of so many bins of `numbers [row]`, with about as many rows each, or fewer; none is empty.

    Edge k is the smallest number that k of so many quantiles of the rows do not exceed (the inverse of the empirical
    distribution function: R. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", 1996, definition 1).
    """
    if not len(numbers):
        return ()
    import numpy as np

    in_order = np.sort(numbers) + 0.0  # −0 is 0
    ranks = [(len(numbers) * number - 1) // quantiles for number in range(1, quantiles)]
    edges = np.unique(in_order[ranks])
    return tuple(edges[edges < in_order[-1]].tolist())


def _shown(number: float) -> str:
    """Return a number in as few digits as tell it from every other."""
    return repr(float(number)).removesuffix(".0")
