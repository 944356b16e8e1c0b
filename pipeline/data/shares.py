"""Whole rows for shares that need not come out whole."""

from __future__ import annotations

from collections.abc import Sequence


def largest_remainder(rows: int, shares: Sequence[float]) -> list[int]:
    """Return how many of `rows` each share gets: they sum to `rows`, each within 1 of its quota (Hamilton's method)."""
    quotas = [rows * share for share in shares]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda part: (counts[part] - quotas[part], part))
    for part in by_remainder[: rows - sum(counts)]:
        counts[part] += 1
    return counts
