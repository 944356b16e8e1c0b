"""The check of the GPUs: what is there, what training can use of it, and how the ranks would exchange."""

from __future__ import annotations

import os

from pipeline.doctor.health import HealthCheck
from pipeline.doctor.software import has_nccl
from pipeline.recipe.recipe import Device
from pipeline.runtime import gpus


def check_gpus(device: Device, workers: int) -> HealthCheck:
    """What is seen is said, whatever the recipe's `train.device`; it is a failure only where the recipe wants a GPU."""
    seen = gpus.look(os.environ)
    found = f"{seen.in_words()}: {seen.problem}" if seen.problem else f"{seen.in_words()}; {_exchange(workers)}"
    if device != "gpu":
        return HealthCheck("gpus", True, f"{found} (train.device: {device})")
    if seen.problem:
        return HealthCheck("gpus", False, f"{found}, and train.device is gpu", "ratchet run --set train.device=cpu")
    if workers > len(seen.usable):
        remedy = f"ratchet run --execution horovod.workers={len(seen.usable)}"
        return HealthCheck("gpus", False, f"{found}; {workers} workers, each on one of its own", remedy)
    return HealthCheck("gpus", True, found)


def _exchange(workers: int) -> str:
    if workers == 1:
        return "one worker exchanges nothing"
    return f"the workers exchange by {'NCCL' if has_nccl() else 'Gloo: Horovod lacks NCCL'}"
