"""What the cleaning does with equal rows, said once more, row by row: what Spark finds is held against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.data.cleaning import CONFLICT, DUPLICATE
from pipeline.recipe.recipe import EqualRows

PARTS = ("test", "validation", "train")
_BOTH_REJECTED = EqualRows()


class Row(NamedTuple):
    """A usable row: what it holds, its label (None: unlabelled), the source's part that it stands in, its place.

    `delivered` tells rows apart that hold the same, but were delivered otherwise.
    """

    content: str
    label: int | None
    part: str
    number: int
    delivered: int = 0


def rank_of(row: Row) -> int:
    """Return what decides first which of equal rows is kept: its part; unlabelled rows come last."""
    return len(PARTS) if row.label is None else PARTS.index(row.part)


def _order(row: Row) -> tuple[int, int, str, int]:
    return rank_of(row), row.delivered, row.part, row.number


def rejected(rows: Sequence[Row], *, is_test_given: bool, equal_rows: EqualRows = _BOTH_REJECTED) -> dict[Row, str]:
    """Return the rows that are not kept, each with its reason."""
    equal: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        equal[row.content].append(row)
    found = {}
    for group in equal.values():
        given = [row for row in group if row.part == "test" and row.label is not None] if is_test_given else []
        labels = {row.label for row in given or group} - {None}
        is_any_labelled = any(row.label is not None for row in group)
        first = min(rank_of(row) for row in group)
        kept: list[Row] = []
        for row in sorted(group, key=_order):
            is_contradicted = len(labels) > 1 or (row.label is not None and row.label not in labels)
            is_second = (
                any(row.label == other.label for other in kept) if equal_rows.conflicts == "keep" else bool(kept)
            )
            is_repeated = is_second or (is_test_given and rank_of(row) > first)
            if is_contradicted and equal_rows.conflicts == "reject":
                found[row] = CONFLICT
            elif (row.label is None and is_any_labelled) or (is_repeated and equal_rows.duplicates == "reject"):
                found[row] = DUPLICATE
            else:
                kept.append(row)
    return found
