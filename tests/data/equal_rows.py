"""What the cleaning does with equal rows, said once more, row by row: what Spark finds is held against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.data.cleaning import CONFLICT, DUPLICATE


class Row(NamedTuple):
    """A row that is usable by itself: what it holds, its label, the source's part that it stands in, its place."""

    content: str
    label: int
    part: str
    number: int


def rejected(rows: Sequence[Row], *, is_test_given: bool) -> dict[Row, str]:
    """Return the rows that are not kept, each with its reason."""
    equal: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        equal[row.content].append(row)
    found = {}
    for group in equal.values():
        given = [row for row in group if row.part == "test"] if is_test_given else []
        labels = {row.label for row in given or group}
        kept = None
        for row in sorted(group, key=lambda row: (row.part != "test", row.number)):
            if len(labels) > 1 or row.label not in labels:
                found[row] = CONFLICT
            elif kept is not None:
                found[row] = DUPLICATE
            else:
                kept = row
    return found
