"""The learning rate of every step of a run."""

from __future__ import annotations

import math

from pipeline.recipe.recipe import TrainParams


def learning_rates(train: TrainParams, steps_per_epoch: int) -> list[float]:
    """Return the learning rate of each step: linear warm-up from 0 to the peak, then constant, or half a cosine to 0.

    The warm-up makes large global batches stable (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2);
    the cosine is SGDR's without restarts (Loshchilov and Hutter, 2017, equation 5).
    """
    steps = train.epochs * steps_per_epoch
    warmup = min(steps, round(train.warmup_epochs * steps_per_epoch))
    rates = []
    for step in range(steps):
        if step < warmup:
            share = (step + 1) / warmup
        elif train.schedule == "cosine":
            share = 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        else:
            share = 1.0
        rates.append(train.learning_rate * share)
    return rates
