"""The payloads of a binary column, seen without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Payloads(NamedTuple):
    """Payloads that lie one after the other: that of row `first + n` is `content[offsets[n]:offsets[n + 1]]`."""

    first: int
    content: memoryview
    offsets: npt.NDArray[np.int32]

    def views(self) -> Iterator[memoryview]:
        """Yield each payload."""
        for begin, end in pairwise(self.offsets.tolist()):
            yield self.content[begin:end]


def payloads_of(column: pa.ChunkedArray) -> Iterator[Payloads]:
    """Yield the payloads of a binary column by its chunks, without a copy. A null is empty."""
    first = 0
    for chunk in column.chunks:
        if len(chunk) == 0:
            continue
        filled = chunk.fill_null(b"")
        _, offsets, data = filled.buffers()
        content = memoryview(data) if data is not None else memoryview(b"")
        yield Payloads(first, content, np.frombuffer(offsets, np.int32, len(filled) + 1, filled.offset * 4))
        first += len(chunk)


def iter_payload_views(column: pa.ChunkedArray) -> Iterator[memoryview]:
    """Yield each payload of a binary column as a view of Arrow's buffer, without a copy. A null is empty."""
    for payloads in payloads_of(column):
        yield from payloads.views()


def payload_views(column: pa.ChunkedArray) -> list[memoryview]:
    """Return what `iter_payload_views` yields: objects that Python's garbage collector looks at while they are kept."""
    return list(iter_payload_views(column))
