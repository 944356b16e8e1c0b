"""Rows of two parts that look nearly the same: a model that has learned the one is not tested by the other.

Two pictures are near-duplicates if their perceptual hashes differ in few bits and their thumbnails are alike, the later
part's shifted by up to a 32nd of its sides. Looked at is the first feature that is a picture. For each row of a later
part its nearest row in each earlier part is kept. Private memory is bounded by some hundred bytes a row, for its hash
and the index of hashes; thumbnails stand in a file of 1 KiB a row that is gone with its last reader.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.near_hashes import Hashes, HashIndex, Numbers
from pipeline.data.perceptual_hash import SHIFTS, SIDE, Pixels, likeness, perceptual_hashes
from pipeline.recipe.bounds import Off
from pipeline.recipe.recipe import NearDuplicateParams
from pipeline.storage.mapped import Values
from pipeline.storage.near_duplicates import SCHEMA, Between, write_near_duplicates
from pipeline.storage.shards import Rows

_BLOCK_ROWS = 4096  # looked at, or asked about, at a time
_BLOCK_PAIRS = 4096  # held against each other at a time

Thumbnails = Callable[..., Pixels]  # of values `[row, …]`, shifted: `[row, 32, 32] uint8`


@dataclass(frozen=True)
class Looks:
    """What the rows of a part look like: thumbnails `[row, 32, 32] uint8`, their hashes `[row] uint64`.

    `shifted` makes the thumbnails of some rows, shifted.
    """

    small: Pixels
    hashes: Hashes
    shifted: Callable[[slice, tuple[int, int]], Pixels]

    def seen(self, rows: slice, shift: tuple[int, int]) -> tuple[Pixels, Hashes]:
        """Return thumbnails and hashes of some rows, shifted."""
        if shift == (0, 0):
            return self.small[rows], self.hashes[rows]
        small = self.shifted(rows, shift)
        return small, perceptual_hashes(small)


@dataclass(frozen=True)
class Nearest:
    """Rows of a later part, in order, each with its nearest row in an earlier one; `[pair]` each."""

    later: Numbers
    earlier: Numbers
    bits: Numbers
    likeness: npt.NDArray[np.float64]

    def chosen(self, which: npt.NDArray[np.bool_] | Numbers) -> Nearest:
        """Return some of the pairs."""
        return Nearest(self.later[which], self.earlier[which], self.bits[which], self.likeness[which])


def nearest_rows(
    earlier: Looks, later: Looks, bits: int, least: float, *, on_progress: Callable[[int], None] = lambda _: None
) -> Nearest:
    """Return the rows of `later` that have near-duplicates in `earlier`: at most `bits` apart, of `least` likeness.

    Nearest is the row that is most alike; of those, the one that differs in fewest bits; of those, the first.
    `on_progress` is called with the rows that are done.
    """
    index = HashIndex(earlier.hashes, bits)
    found = []
    for start in range(0, len(later.hashes), _BLOCK_ROWS):
        best = _NONE
        for shift in SHIFTS:
            small, hashes = later.seen(slice(start, start + _BLOCK_ROWS), shift)
            for pairs in index.near(hashes):
                for cut in range(0, len(pairs.rows), _BLOCK_PAIRS):
                    some = slice(cut, cut + _BLOCK_PAIRS)
                    rows, asked = pairs.rows[some], pairs.asked[some]
                    alike = likeness(earlier.small[rows], small[asked])
                    if (alike >= least).any():
                        found_here = Nearest(asked, rows, pairs.bits[some], alike).chosen(alike >= least)
                        best = _nearest_of(best, found_here)
        found.append(Nearest(best.later + start, best.earlier, best.bits, best.likeness))
        on_progress(min(start + _BLOCK_ROWS, len(later.hashes)))
    return _joined(*found)


_NO_NUMBERS: Numbers = np.empty(0, np.int64)
_NONE = Nearest(_NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, np.empty(0, np.float64))


def _joined(*found: Nearest) -> Nearest:
    every = (_NONE, *found)
    return Nearest(
        np.concatenate([each.later for each in every]),
        np.concatenate([each.earlier for each in every]),
        np.concatenate([each.bits for each in every]),
        np.concatenate([each.likeness for each in every]),
    )


def _nearest_of(*found: Nearest) -> Nearest:
    """Return the nearest row of each later row."""
    pairs = _joined(*found)
    order = np.lexsort((pairs.earlier, pairs.bits, -pairs.likeness))
    _, first = np.unique(pairs.later[order], return_index=True)
    return pairs.chosen(order[first])


def look(values: Values, thumbnails: Thumbnails, scratch: Path) -> Looks:
    """Return what the values `[row, …]` of a picture look like, whose thumbnails are kept in a file in `scratch`."""
    rows = len(values)
    hashes = np.empty(rows, np.uint64)

    def shifted(some: slice, shift: tuple[int, int]) -> Pixels:
        return thumbnails(values[some], shift=shift)

    if not rows:
        return Looks(np.empty((0, SIDE, SIDE), np.uint8), hashes, shifted)
    with tempfile.TemporaryFile(dir=scratch) as file:  # it has no name: nothing is left of it, whatever happens
        small = np.memmap(file, np.uint8, "w+", shape=(rows, SIDE, SIDE))
    for start in range(0, rows, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        small[block] = thumbnails(values[block])
        hashes[block] = perceptual_hashes(small[block])
    return Looks(small, hashes, shifted)


def find_near_duplicates(
    parts: Mapping[str, Rows],
    feature: tuple[str, Thumbnails] | None,
    params: NearDuplicateParams,
    folder: Path,
    scratch: Path,
    *,
    on_progress: Callable[[int, int], None],
) -> tuple[Between, ...]:
    """Write to `folder` the near-duplicates across `parts`, the training part first; return how many there are.

    `feature` is the name of the picture that is looked at, and what makes its thumbnails; None: there is no picture.
    `on_progress` is called with the rows looked at and compared, and how many there will be.
    """
    if isinstance(params.bits, Off):
        return write_near_duplicates(folder, [], (), why_not=params.bits.none)
    if feature is None:
        return write_near_duplicates(folder, [], (), why_not="no feature is a picture")
    name, thumbnails = feature
    pairs = list(combinations(parts, 2))
    total = sum(map(len, parts.values())) + sum(len(parts[other]) for _, other in pairs)
    looks, done = {}, 0
    for part, rows in parts.items():
        looks[part] = look(rows.columns[name], thumbnails, scratch)
        on_progress(done := done + len(rows), total)
    tables, counts = [], []
    for one, other in pairs:
        found = nearest_rows(
            looks[one],
            looks[other],
            params.bits,
            params.likeness,
            on_progress=lambda here, before=done: on_progress(before + here, total),  # type: ignore[misc]
        )
        done += len(parts[other])
        tables.append(_table(found, one, other, parts))
        counts.append(Between(other, one, len(found.later), len(parts[other])))
    return write_near_duplicates(folder, tables, counts, limits=(params.bits, params.likeness))


def _table(found: Nearest, one: str, other: str, parts: Mapping[str, Rows]) -> pa.Table:
    columns: dict[str, object] = {"bits": found.bits, "likeness": found.likeness}
    for prefix, part, numbers in (("", other, found.later), ("earlier_", one, found.earlier)):
        rows = parts[part]
        columns |= {
            f"{prefix}part": [part] * len(numbers),
            f"{prefix}row": numbers,
            f"{prefix}id": [rows.ids[number] for number in numbers],
            f"{prefix}label": rows.labels[numbers],
        }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
