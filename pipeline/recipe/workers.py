"""Whether a recipe can be trained by the workers that an execution names: known before any work."""

from __future__ import annotations

from pipeline.errors import UsageError

_OFFERED = 4


def nearest_divisors(number: int, wanted: int) -> str:
    """Return, in words, the divisors of a number that are nearest to the wanted one: `2, 3, 5 or 6`."""
    divisors = (each for each in range(1, number + 1) if number % each == 0)
    nearest = sorted(sorted(divisors, key=lambda each: abs(each - wanted))[:_OFFERED])
    return " or ".join(filter(None, (", ".join(map(str, nearest[:-1])), str(nearest[-1]))))


def require_equal_blocks(virtual_workers: int, workers: int) -> None:
    """Raise UsageError unless the workers can share the virtual workers equally: each carries a block of them."""
    if virtual_workers % workers:
        fits = nearest_divisors(virtual_workers, workers)
        raise UsageError(
            f"horovod.workers: {workers} workers cannot share {virtual_workers} virtual workers equally; "
            f"use {fits}, or another train.virtual_workers"
        )
