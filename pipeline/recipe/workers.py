"""Whether a recipe can be trained by the workers that an execution names: known before any work."""

from __future__ import annotations

from pipeline.errors import UsageError


def require_equal_shares(batch_size: int, workers: int) -> None:
    """Raise UsageError unless the workers can share a batch equally: each computes one share of each."""
    if batch_size % workers:
        fits = max(workers, batch_size - batch_size % workers)
        raise UsageError(
            f"train.batch_size: {batch_size} rows cannot be shared equally by {workers} workers; "
            f"use {fits}, or another horovod.workers"
        )
