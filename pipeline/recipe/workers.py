"""Whether a recipe can be trained by the workers that an execution names: known before any work."""

from __future__ import annotations

from pipeline.errors import UsageError


def nearest_divisor(number: int, wanted: int) -> int:
    """Return the divisor of a number that is nearest to the wanted one; of two, the smaller."""
    divisors = (each for each in range(1, number + 1) if number % each == 0)
    return min(divisors, key=lambda each: abs(each - wanted))


def require_equal_blocks(virtual_workers: int, workers: int) -> None:
    """Raise UsageError unless the workers can share the virtual workers equally: each carries a block of them."""
    if virtual_workers % workers:
        fits = nearest_divisor(virtual_workers, workers)
        raise UsageError(
            f"horovod.workers: {workers} workers cannot share {virtual_workers} virtual workers equally; "
            f"use {fits}, or another train.virtual_workers"
        )
