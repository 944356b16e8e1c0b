"""Tables as sources deliver them, and what is found in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.data.entries import labels_of
from pipeline.drafting.looking import Looking, Pictures


def delivered(
    labels: Sequence[int | str | None],
    sides: Sequence[tuple[int, int]] | None = None,
    problems: Sequence[str | None] | None = None,
    modes: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
) -> pa.Table:
    """Return rows with these labels: a text is one that is not declared; sides are height and width, sizes bytes."""
    rows = len(labels)
    problems = problems or [None] * rows
    shapes = [
        (None, None) if problem else side for side, problem in zip(sides or [(8, 8)] * rows, problems, strict=True)
    ]
    return pa.table(
        {
            "label": pa.array([-1 if isinstance(each, str) else each for each in labels], pa.int32()),
            "part": ["train"] * rows,
            "source": [f"{row}.png" for row in range(rows)],
            "row": pa.array([0] * rows, pa.int64()),
            "problem": pa.array(problems, pa.string()),
            "detail": pa.array(
                [labels_of(())(each).detail if isinstance(each, str) else None for each in labels], pa.string()
            ),
            "image_height": pa.array([height for height, _ in shapes], pa.int32()),
            "image_width": pa.array([width for _, width in shapes], pa.int32()),
            "image_channels": pa.array([None if problem else 1 for problem in problems], pa.int32()),
            "image_mode": pa.array(
                [None if problem else mode for mode, problem in zip(modes or ["L"] * rows, problems, strict=True)],
                pa.string(),
            ),
            "image_encoding": pa.array([None if problem else "png" for problem in problems], pa.string()),
            "image": pa.array(
                [None if problem else bytes(size) for size, problem in zip(sizes or [5] * rows, problems, strict=True)],
                pa.binary(),
            ),
        }
    )


def looked_at(*tables: pa.Table) -> tuple[Looking, pa.Table]:
    """Return what has looked at tables, and what has come out of it."""
    looking = Looking("image")
    return looking, pa.concat_tables(list(looking.watched(tables)))


def pictures(*sides: tuple[int, int], modes: dict[str, int] | None = None, encoding: str = "png") -> Pictures:
    """Return what is known of pictures with these heights and widths."""
    found = Pictures(
        heights=np.array([h for h, _ in sides], np.int32), widths=np.array([w for _, w in sides], np.int32)
    )
    found.encodings[encoding] = len(sides)
    found.modes.update(modes or {"L": len(sides)})
    found.channels[1] = len(sides)
    found.smallest_bytes, found.largest_bytes = 100, 1000
    return found
