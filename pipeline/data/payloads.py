"""The payloads of a binary column, seen without a copy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa


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
