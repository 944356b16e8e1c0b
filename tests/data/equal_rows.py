"""What the cleaning does with equal rows, said once more, row by row: what Spark finds is held against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.data.cleaning import CONFLICT, DUPLICATE

_PARTS = ("test", "validation", "train")


class Row(NamedTuple):
    """A usable row: what it holds, its label (None: unlabelled), the source's part that it stands in, its place."""

    content: str
    label: int | None
    part: str
    number: int


def rejected(rows: Sequence[Row], *, is_test_given: bool) -> dict[Row, str]:
    """Return the rows that are not kept, each with its reason."""
    equal: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        equal[row.content].append(row)
    found = {}
    for group in equal.values():
        given = [row for row in group if row.part == "test" and row.label is not None] if is_test_given else []
        labels = {row.label for row in given or group} - {None}
        kept = None
        for row in sorted(group, key=lambda row: (row.label is None, _PARTS.index(row.part), row.number)):
            if len(labels) > 1 or (row.label is not None and row.label not in labels):
                found[row] = CONFLICT
            elif kept is not None:
                found[row] = DUPLICATE
            else:
                kept = row
    return found
