"""The training loop, from the data to the last epoch, as one rank runs it. Read it from `train_model` downwards.

Exact synchronous gradient descent: in each step, every rank computes the gradient of its share of one global batch, the
gradients are averaged, and every rank makes the same update. So the ranks stay bit-identical, which is checked at the
end of every epoch, and one rank and many differ by float rounding only.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.errors import DataError
from pipeline.models.build import Weights, build, logits_of, set_weights, weights_of
from pipeline.recipe.recipe import TrainParams
from pipeline.records.training_history import EpochRecord
from pipeline.runtime.progress import count
from pipeline.training import checkpoints, refusals
from pipeline.training.batches import read_part, step_count, training_batches
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.collective import Collective, prove_identical
from pipeline.training.job import Job, architecture_of
from pipeline.training.logs import TensorBoard
from pipeline.training.objective import objective_of
from pipeline.training.order import EpochOrder
from pipeline.training.schedule import learning_rates
from pipeline.training.step import Score, TrainingStep, make_optimizer, validate


class ProgressReporter(Protocol):
    """How the loop reports its progress. Rank 0 passes it on; the other ranks stay silent."""

    def step(self, what: str) -> None:
        """Report what is being done now."""

    def advance(self, done: int, total: int, unit: str, note: str) -> None:
        """Report that `done` of `total` units are done."""


def train_model(job: Job, collective: Collective, report: ProgressReporter) -> None:
    """Train until all epochs are done, leaving a checkpoint after each; continue from the newest if there is one.

    Raises DataError if the loss is no longer finite, UsageError for a model of which something would be ignored, Bug if
    the ranks drift apart.
    """
    report.step("reading the prepared rows")
    work, train = Path(job.work), job.train
    architecture = architecture_of(job)
    training = read_part(job.training_folders, len(job.classes))
    validation = read_part([job.validation_folder], len(job.classes))
    steps, share = step_count(len(training), train.batch_size), train.batch_size // collective.size

    report.step("building the model")
    make_deterministic(job.seed, job.threads)
    model = build(architecture)
    logits_model = logits_of(model)
    refusals.refuse_layers(logits_model)
    optimizer = make_optimizer(train.optimizer, train.learning_rate, model)
    objective = objective_of(job.task, train.loss, len(job.classes))
    rates = learning_rates(train, steps)
    features = architecture.features
    score = Score(logits_model, objective, features)
    step = TrainingStep(logits_model, optimizer, objective, features, share, job.seed, rates, collective)
    refusals.refuse_graph(step, logits_model, optimizer, features)
    refusals.refuse_behaviour(step, logits_model, optimizer, training, share)

    last = checkpoints.newest(work)
    if last is not None:
        restore(last, model, optimizer, str(work))
    collective.broadcast(model.variables + optimizer.variables)
    prove_identical(collective, state_digest(model, optimizer), "before the first epoch")
    history = last.history if last else ()
    best = last.best if last else {}

    logs = TensorBoard(Path(job.tensorboard), first_epoch=len(history) + 1) if collective.rank == 0 else None
    if logs and not history:
        logs.write_graph(model, features)
    throughput = Throughput(report, train, steps, first_epoch=len(history) + 1)
    for epoch in range(len(history) + 1, train.epochs + 1):
        order = EpochOrder(len(training), job.seed, epoch)
        batches = training_batches(training, order, train.batch_size, collective.rank, collective.size)
        sums, number = np.zeros(len(step.names)), (epoch - 1) * steps
        for columns, labels in batches:
            figures = step(columns, labels, number)
            require_finite(dict(zip(step.names, figures.tolist(), strict=True)), "", epoch, number, train)
            sums += figures
            number += 1
            throughput.stepped(epoch, number, figures[0])

        validated = validate(score, validation, collective)
        require_finite(validated, "validation ", epoch, number - 1, train)
        prove_identical(collective, state_digest(model, optimizer), f"after epoch {epoch}")
        trained = dict(zip(step.names, (sums / steps).tolist(), strict=True))
        record = EpochRecord(epoch=epoch, learning_rate=rates[number - 1], train=trained, validation=validated)
        history = (*history, record)
        if checkpoints.best_epoch(history) == epoch:
            best = weights_of(model)
        if collective.rank == 0:
            checkpoints.save(work, Checkpoint(history, weights_of(model), best, optimizer_state(optimizer)))
        if logs:
            logs.write_epoch(record, model)


def require_finite(figures: Mapping[str, float], part: str, epoch: int, step: int, train: TrainParams) -> None:
    """Raise DataError if a figure, in whatever part it was measured, is no longer a number: the run has diverged."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise DataError(
                f"training: the {part}{name} is {value} in epoch {epoch}, step {step}: the run has diverged; "
                f"lower train.learning_rate (now {train.learning_rate:g}) or raise train.warmup_epochs"
            )


def make_deterministic(seed: int, threads: int) -> None:
    """Make the same inputs give the same bits, and set the seed from which the weights are initialised.

    One thread adds in a fixed order anyway; only several threads need TensorFlow's slower deterministic kernels.
    """
    import keras
    import tensorflow as tf

    if threads > 1:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed % 2**32)


def optimizer_state(optimizer: Any) -> Weights:
    """Return the optimizer's variables by position and name."""
    return {f"{number:04d}/{v.path}": np.asarray(v) for number, v in enumerate(optimizer.variables)}


def restore(checkpoint: Checkpoint, model: Any, optimizer: Any, where: str) -> None:
    """Restore model and optimizer from a checkpoint; raise DataError if it belongs to another model or optimizer."""
    set_weights(model, checkpoint.last, where)
    if list(optimizer_state(optimizer)) != sorted(checkpoint.optimizer):
        raise DataError(f"{where}: the checkpoint is another optimizer's; remove the folder and run again")
    for variable, name in zip(optimizer.variables, sorted(checkpoint.optimizer), strict=True):
        variable.assign(checkpoint.optimizer[name])


def state_digest(model: Any, optimizer: Any) -> bytes:
    """Return a digest of all weights and the whole optimizer state."""
    digest = hashlib.sha256()
    for variable in model.variables + optimizer.variables:
        digest.update(np.ascontiguousarray(variable).tobytes())
    return digest.digest()


class Throughput:
    """Reports how far the training is, how fast it is, and how long it will take."""

    def __init__(self, report: ProgressReporter, train: TrainParams, steps_per_epoch: int, first_epoch: int) -> None:
        self._report = report
        self._train = train
        self._first_step = (first_epoch - 1) * steps_per_epoch
        self._steps = train.epochs * steps_per_epoch
        self._begun_s: float | None = None

    def stepped(self, epoch: int, number: int, loss: float) -> None:
        """Report that `number` steps of the whole run are done."""
        size, now_s = self._train.batch_size, time.monotonic()
        if self._begun_s is None:  # the first step traces the graph: it says nothing about the speed
            self._begun_s, self._first_step = now_s, number
            return
        rows_per_s = (number - self._first_step) * size / max(now_s - self._begun_s, 1e-9)
        left_s = (self._steps - number) * size / rows_per_s
        speed = count(round(rows_per_s))
        note = f"epoch {epoch}/{self._train.epochs}  loss {loss:.3f}  {speed} rows/s  {left_s:.0f} s left"
        self._report.advance(number * size, self._steps * size, "rows", note)
