"""Row ids and the equality of payloads: digests of the content, never of its position."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa


def shape_digest(height: int, width: int, channels: int, payload: bytes | memoryview) -> str:
    """Return the hex sha256 over a shape (three big-endian 64-bit integers) and the payload."""
    digest = hashlib.sha256(struct.pack(">3q", height, width, channels))
    digest.update(payload)
    return digest.hexdigest()


def payload_digests(table: pa.Table) -> list[str]:
    """Return each row's payload digest from its columns height, width, channels, payload. A null is empty or 0."""
    heights, widths, channels = (table[name].fill_null(0).to_pylist() for name in ("height", "width", "channels"))
    return list(map(shape_digest, heights, widths, channels, payload_views(table["payload"])))


def payload_views(column: pa.ChunkedArray) -> list[memoryview]:
    """Return each payload of a binary column as a view of Arrow's buffer, without a copy. A null is empty."""
    views: list[memoryview] = []
    for chunk in column.chunks:
        if len(chunk) == 0:
            continue
        filled = chunk.fill_null(b"")
        _, offsets_buffer, data = filled.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int32, len(filled) + 1, filled.offset * 4).tolist()
        content = memoryview(data) if data is not None else memoryview(b"")
        views += [content[begin:end] for begin, end in pairwise(offsets)]
    return views


class RowNames:
    """Assigns every row its id: 32 hex digits of sha256 over part, label, shape and payload, and `k`.

    `k` counts the earlier rows of the same part, label, shape and payload, so ids are unique, and they do not change
    when rows are reordered or others are added.
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
