"""The training loop, from the data to the last epoch, as one rank runs it. Read it from `train_model` downwards.

Exact synchronous gradient descent over virtual workers: each global batch is cut into as many micro-batches as the
recipe says, the ranks compute them, their gradients are added in a fixed tree, and every rank makes the same update.
All that is random, and the order of every sum, belongs to virtual workers and never to ranks: so the number of ranks
changes no bit. That the ranks hold the same is checked at the end of every epoch.
Source: Or, Zhang and Freedman, "VirtualFlow", MLSys 2022, of which this keeps the rounding too.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.errors import DataError
from pipeline.models.build import Weights, build, logits_of, set_weights, weights_of
from pipeline.recipe.recipe import TrainParams
from pipeline.records.architecture import TargetScale
from pipeline.records.training_history import EpochRecord
from pipeline.runtime.processor import processor
from pipeline.runtime.progress import count
from pipeline.training import checkpoints, refusals
from pipeline.training.ahead import ahead
from pipeline.training.batches import TrainingRows, read_part, step_count, training_batches
from pipeline.training.changed_rows import read_changed_rows
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.collective import Collective, prove_identical, require_alike
from pipeline.training.job import Job, architecture_of
from pipeline.training.logs import TensorBoard
from pipeline.training.objective import objective_of
from pipeline.training.order import EpochOrder
from pipeline.training.row_weights import mean_weight
from pipeline.training.schedule import learning_rates
from pipeline.training.step import Score, TrainingStep, make_optimizer, validate


class ProgressReporter(Protocol):
    """How the loop reports its progress. Rank 0 passes it on; the other ranks stay silent."""

    def step(self, what: str) -> None:
        """Report what is being done now."""

    def advance(self, done: int, total: int, unit: str, note: str) -> None:
        """Report that `done` of `total` units are done."""


def train_model(
    job: Job, collective: Collective, report: ProgressReporter, each: Callable[..., Iterable[Any]] = map
) -> None:
    """Train until all epochs are done, leaving a checkpoint after each; continue from the newest if there is one.

    `each` calls a function for each of several batches, as `map` does, and may do so side by side. Raises DataError if
    the loss is no longer finite, UsageError for a model of which something would be ignored, or if hosts do not compute
    alike, Bug if the ranks drift apart.
    """
    import keras

    report.step("reading the prepared rows")
    work, train = Path(job.work), job.train
    architecture = architecture_of(job)
    weight = mean_weight(job.training_folders[0])
    training = read_training(job, architecture.target, weight)
    validation = read_part([job.validation_folder], len(job.classes), target=architecture.target, weight=weight)
    steps = step_count(len(training), train.batch_size)

    report.step("building the model")
    keras.utils.set_random_seed(job.seed % 2**32)  # from which the weights are initialised
    model = build(architecture)
    logits_model = logits_of(model)
    refusals.refuse_weights(logits_model)
    optimizer = make_optimizer(train.optimizer, train.learning_rate, model)
    objective = objective_of(
        job.task, train.loss, len(job.classes), architecture.target, is_weighted=training.is_weighted
    )
    rates = learning_rates(train, steps)
    features = architecture.features
    score = Score(logits_model, objective, features)
    step = TrainingStep(
        logits_model, optimizer, objective, features, train, job.seed, rates, collective, each,
        is_mixed=training.is_mixed,
    )  # fmt: skip
    refusals.refuse_graph(step, logits_model, features)

    last = checkpoints.newest(work, train.virtual_workers)
    if last is not None:
        restore(last, model, optimizer, str(work))
    collective.broadcast(model.weights + optimizer.variables)
    prove_identical(collective, state_digest(model, optimizer), "before the first epoch")
    history = last.history if last else ()
    best = last.best if last else {}
    if train.exact:
        require_alike(collective, first_digest(step, training, job, len(history) + 1), processor().name)

    logs = TensorBoard(Path(job.tensorboard), first_epoch=len(history) + 1) if collective.rank == 0 else None
    if logs and not history:
        logs.write_graph(model, features)
    throughput = Throughput(report, train, steps, first_epoch=len(history) + 1)
    for epoch in range(len(history) + 1, train.epochs + 1):
        order = EpochOrder(len(training), job.seed, epoch)
        sums, number = np.zeros(len(step.names)), (epoch - 1) * steps
        micro_batches = training_batches(training, order, epoch, train.batch_size, step.block, train.virtual_workers)
        for batches in ahead(micro_batches) if job.augment.makes_copies else micro_batches:
            figures = step(batches, number)
            require_finite(dict(zip(step.names, figures.tolist(), strict=True)), "", epoch, number, train)
            sums += figures
            number += 1
            throughput.stepped(epoch, number, figures[0])

        validated = validate(score, validation, collective, each)
        require_finite(validated, "validation ", epoch, number - 1, train)
        prove_identical(collective, state_digest(model, optimizer), f"after epoch {epoch}")
        trained = dict(zip(step.names, (sums / steps).tolist(), strict=True))
        record = EpochRecord(epoch=epoch, learning_rate=rates[number - 1], train=trained, validation=validated)
        history = (*history, record)
        if checkpoints.best_epoch(history) == epoch:
            best = weights_of(model)
        if collective.rank == 0:
            state = optimizer_state(optimizer)
            checkpoints.save(work, Checkpoint(history, weights_of(model), best, state, train.virtual_workers))
        if logs:
            logs.write_epoch(record, model)


def read_training(job: Job, target: TargetScale | None = None, weight: float | None = None) -> TrainingRows:
    """Return the rows of an epoch: as they are written, or changed anew each time. `weight` is the mean of theirs."""
    if job.augment.makes_copies:
        return read_changed_rows(
            job.training_folders[0], len(job.classes), job.augment, job.seed, target=target, weight=weight
        )
    return read_part(job.training_folders, len(job.classes), target=target, weight=weight)


def require_finite(figures: Mapping[str, float], part: str, epoch: int, step: int, train: TrainParams) -> None:
    """Raise DataError if a figure, in whatever part it was measured, is no longer a number: the run has diverged."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise DataError(
                f"training: the {part}{name} is {value} in epoch {epoch}, step {step}: the run has diverged; "
                f"lower train.learning_rate (now {train.learning_rate:g}) or raise train.warmup_epochs"
            )


def first_digest(step: TrainingStep, training: TrainingRows, job: Job, epoch: int) -> bytes:
    """Return a digest of what virtual worker 0 computes in the first step of an epoch: any rank can compute it."""
    order = EpochOrder(len(training), job.seed, epoch)
    number = (epoch - 1) * step_count(len(training), job.train.batch_size)
    [[batch]] = itertools.islice(
        training_batches(training, order, epoch, job.train.batch_size, range(1), job.train.virtual_workers), 1
    )
    return hashlib.sha256(np.asarray(step.micro_batch(batch, number, 0)).tobytes()).digest()


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
    for variable in model.weights + optimizer.variables:
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
