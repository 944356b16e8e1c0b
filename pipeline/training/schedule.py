"""The learning rate of every step of a run."""

from __future__ import annotations

import math

from pipeline.errors import UsageError
from pipeline.recipe.recipe import SCHEDULE, TrainParams


def learning_rates(train: TrainParams, steps_per_epoch: int) -> list[float]:
    """Return the learning rate of each step: linear warm-up from 0 to the peak, then as the recipe's schedule says.

    The warm-up makes large global batches stable (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2).
    Raises UsageError if the schedule gives a rate that is none.
    """
    settings = SCHEDULE.settings(train.schedule, "train.schedule")
    schedule = SCHEDULE.member(train.schedule.name)
    steps = train.epochs * steps_per_epoch
    warmup = min(steps, round(train.warmup_epochs * steps_per_epoch))
    rates = []
    for step in range(steps):
        if step < warmup:
            share = (step + 1) / warmup
        else:
            share = schedule.share(settings, step - warmup, steps - warmup)
            if not (math.isfinite(share) and share >= 0):
                raise UsageError(
                    f"train.schedule: {train.schedule.name} gives {share} of the peak rate at step {step - warmup} of "
                    f"{steps - warmup}; it must be a number from 0 up"
                )
        rates.append(train.learning_rate * share)
    return rates
