"""Row ids: digests of the content, never of its position."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence


class RowNames:
    """Assigns every row its id: 32 hex digits of sha256 over part, label, content and `k`.

    `k` counts the earlier rows of the same part, label and content, so ids are unique, and they do not change when rows
    are reordered or others are added.
    """

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def names(self, parts: Sequence[str], labels: Sequence[int], digests: Sequence[str]) -> list[str]:
        """Return the ids of the next rows, `[row] str`."""
        ids = []
        for part, label, digest in zip(parts, labels, digests, strict=True):
            content = hashlib.sha256(f"{part}\0{label}\0{digest}\0".encode())
            key = content.digest()[:16]
            content.update(str(self._seen[key]).encode())
            self._seen[key] += 1
            ids.append(content.hexdigest()[:32])
        return ids
