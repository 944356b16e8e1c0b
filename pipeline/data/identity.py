"""Row ids: digests of the content, never of its position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_KEY_BYTES = 16
_Keys = npt.NDArray[np.bytes_]


class RowNames:
    """Assigns every row its id: 32 hex digits of sha256 over part, label, content and `k`.

    `k` counts the earlier rows of the same part, label and content, so ids are unique, and they do not change when rows
    are reordered or others are added. Of a row that comes once, 16 bytes are kept.
    """

    def __init__(self) -> None:
        self._runs: list[_Keys] = []  # each sorted, each less than half as long as the one before
        self._repeated: dict[bytes, int] = {}  # how often a key has come, of those that have come again

    def names(self, parts: Sequence[str], labels: Sequence[float], digests: Sequence[str]) -> list[str]:
        """Return the ids of the next rows, `[row] str`."""
        contents = [
            hashlib.sha256(f"{part}\0{label}\0{digest}\0".encode())
            for part, label, digest in zip(parts, labels, digests, strict=True)
        ]
        keys = [content.digest()[:_KEY_BYTES] for content in contents]
        numbers = self._earlier(keys)
        for content, number in zip(contents, numbers, strict=True):
            content.update(str(number).encode())
        return [content.hexdigest()[:32] for content in contents]

    def _earlier(self, keys: Sequence[bytes]) -> list[int]:
        """Return how often each key has come before."""
        every = np.array(keys, f"S{_KEY_BYTES}")
        were_here, in_order = self._are_known(every), np.unique(every)
        if len(in_order) == len(keys) and not any(were_here):  # nearly always
            self._keep(in_order)
            return [0] * len(keys)
        new: set[bytes] = set()
        numbers = []
        for key, was_here in zip(keys, were_here, strict=True):
            number = self._repeated.get(key, int(was_here or key in new))
            if number:
                self._repeated[key] = number + 1
            else:
                new.add(key)
            numbers.append(number)
        self._keep(np.sort(np.array([*new], f"S{_KEY_BYTES}")))
        return numbers

    def _are_known(self, keys: _Keys) -> list[Any]:
        known = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            places = np.minimum(run.searchsorted(keys), len(run) - 1)
            known |= run[places] == keys
        return known.tolist()

    def _keep(self, run: _Keys) -> None:
        """Add keys that are not known yet: runs are merged so that there are few."""
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)
