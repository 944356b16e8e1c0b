"""Row ids: digests of the content, never of its position."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_ID_BYTES = 16


@dataclass(frozen=True)
class _Keys:
    """Keys of 16 bytes, `[key]` as their first and their last 64 bits."""

    first: npt.NDArray[np.uint64]
    last: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.first)

    def at(self, places: npt.NDArray[Any]) -> Self:
        """Return the keys at these places, or those that are marked."""
        return type(self)(self.first[places], self.last[places])

    def in_order(self) -> tuple[Self, npt.NDArray[np.intp]]:
        """Return the keys in rising order, and their places before."""
        places = np.argsort(self.first, kind="stable")
        first = self.first[places]
        if (first[1:] == first[:-1]).any():
            places = np.lexsort((self.last, self.first))
        return self.at(places), places

    def are_in(self, run: Self) -> npt.NDArray[np.bool_]:
        """Return which keys are among those of a run in rising order, `[key]`."""
        found = np.zeros(len(self), np.bool_)
        places = run.first.searchsorted(self.first)
        left = np.arange(len(self))
        while True:  # keys that differ share their first 64 bits nearly never, so once is nearly always enough
            left = left[places[left] < len(run)]
            left = left[run.first[places[left]] == self.first[left]]
            if not len(left):
                return found
            is_it = run.last[places[left]] == self.last[left]
            found[left[is_it]] = True
            left = left[~is_it]
            places[left] += 1


class RowNames:
    """Assigns every row its id: 32 hex digits of sha256 over part, label, content and `k`.

    `k` counts the earlier rows of the same part, label and content, so ids are unique, and they do not change when rows
    are reordered or others are added. Of a row that comes once, 16 bytes are kept: its id.
    """

    def __init__(self) -> None:
        self._runs: list[_Keys] = []  # each in rising order, each less than half as long as the one before
        self._repeated: Counter[bytes] = Counter()  # how often rows that came again have come, by their first id

    def names(self, parts: pa.ChunkedArray, labels: pa.ChunkedArray, digests: pa.Array) -> pa.Array:
        """Return the ids of the next rows, `[row] string`, from their parts, labels and content digests, `[row]`."""
        contents = _contents(parts, labels, digests)
        ids = [sha256(content + b"0").digest()[:_ID_BYTES] for content in contents]
        for row in self._that_came_before(ids):
            key = ids[row]
            self._repeated[key] += 1
            ids[row] = sha256(contents[row] + str(self._repeated[key]).encode()).digest()[:_ID_BYTES]
        ends = np.arange(len(ids) + 1, dtype=np.int32) * 2 * _ID_BYTES
        text = b"".join(ids).hex().encode("ascii")
        return pa.StringArray.from_buffers(len(ids), pa.py_buffer(ends), pa.py_buffer(text))

    def _that_came_before(self, ids: list[bytes]) -> list[int]:
        """Return the rows of which an equal one came before, in order, by what would be their ids if none had."""
        halves = np.frombuffer(b"".join(ids), np.uint64).reshape(-1, 2)
        keys = _Keys(halves[:, 0], halves[:, 1])
        came = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            came |= keys.are_in(run)
        in_order, places = keys.in_order()
        is_again = (in_order.first[1:] == in_order.first[:-1]) & (in_order.last[1:] == in_order.last[:-1])
        came[places[1:][is_again]] = True  # both sorts are stable: the first of equal rows stays the first
        self._keep(in_order.at(~came[places]))
        found: list[int] = np.flatnonzero(came).tolist()
        return found

    def _keep(self, run: _Keys) -> None:
        """Add keys that are not known yet: runs are merged so that there are few."""
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            last = self._runs.pop()
            both = (last.first, run.first), (last.last, run.last)
            run, _ = _Keys(*map(np.concatenate, both)).in_order()
        if len(run):
            self._runs.append(run)


def _contents(parts: pa.ChunkedArray, labels: pa.ChunkedArray, digests: pa.Array) -> list[bytes]:
    """Return what is hashed of each row, up to `k`. A label is written as Python writes it, None where it has none."""
    coded = labels.combine_chunks().dictionary_encode("encode")
    texts = pa.array([str(label) for label in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
    rows = pc.binary_join_element_wise(parts, texts, digests, "", "\0")
    contents: list[bytes] = rows.cast(pa.binary()).to_pylist()
    return contents
