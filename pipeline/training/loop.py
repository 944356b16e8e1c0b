"""The training loop, from the data to the last epoch, as one rank runs it. Read it from `train_model` downwards.

Exact synchronous gradient descent: in each step, every rank computes the gradient of its share of one global batch, the
gradients are averaged, and every rank makes the same update. So the ranks stay bit-identical, which is checked at the
end of every epoch, and one rank and many differ by float rounding only.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.models.build import Weights, build, logits_of, set_weights, weights_of
from pipeline.models.layers import placed_dropout
from pipeline.recipe.recipe import TrainParams
from pipeline.records.training_history import EpochRecord
from pipeline.runtime.progress import count
from pipeline.training import checkpoints
from pipeline.training.batches import (
    PartInMemory,
    epoch_order,
    read_part,
    step_count,
    training_batches,
    validation_batches,
)
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.collective import Collective, prove_identical
from pipeline.training.job import Job, architecture_of
from pipeline.training.logs import TensorBoard
from pipeline.training.schedule import learning_rates

_VALIDATION_BATCH = 256

TrainingStep = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int32], int], tuple[float, float]]


class ProgressReporter(Protocol):
    """How the loop reports its progress. Rank 0 passes it on; the other ranks stay silent."""

    def step(self, what: str) -> None:
        """Report what is being done now."""

    def advance(self, done: int, total: int, unit: str, note: str) -> None:
        """Report that `done` of `total` units are done."""


def train_model(job: Job, collective: Collective, report: ProgressReporter) -> None:
    """Train until all epochs are done, leaving a checkpoint after each; continue from the newest if there is one.

    Raises DataError if the loss is no longer finite, Bug if the ranks drift apart.
    """
    report.step("reading the prepared images")
    work, train = Path(job.work), job.train
    architecture = architecture_of(job)
    training = read_part(job.training_folders, len(job.classes))
    validation = read_part([job.validation_folder], len(job.classes))
    steps = step_count(len(training), train.batch_size)

    report.step("building the model")
    make_deterministic(job.seed, job.threads)
    model = build(architecture)
    optimizer = make_optimizer(train, model)
    rates = learning_rates(train, steps)
    step = make_step(model, optimizer, job, rates, collective)
    score = make_score(model)

    last = checkpoints.newest(work)
    if last is not None:
        restore(last, model, optimizer, str(work))
    collective.broadcast(model.variables + optimizer.variables)
    prove_identical(collective, state_digest(model, optimizer), "before the first epoch")
    history = last.history if last else ()
    best = last.best if last else {}

    logs = TensorBoard(Path(job.tensorboard), first_epoch=len(history) + 1) if collective.rank == 0 else None
    if logs and not history:
        logs.write_graph(model)
    throughput = Throughput(report, train, steps, first_epoch=len(history) + 1)
    for epoch in range(len(history) + 1, train.epochs + 1):
        order = epoch_order(len(training), job.seed, epoch)
        batches = training_batches(training, order, train.batch_size, collective.rank, collective.size)
        sums, number = np.zeros(2), (epoch - 1) * steps
        for pixels, labels in batches:
            loss, accuracy = step(pixels, labels, number)
            if not math.isfinite(loss):
                raise DataError(
                    f"training: the loss is {loss} in epoch {epoch}, step {number}: the run has diverged; "
                    f"lower train.learning_rate (now {train.learning_rate:g}) or raise train.warmup_epochs"
                )
            sums += loss, accuracy
            number += 1
            throughput.stepped(epoch, number, loss)

        validation_loss, validation_accuracy = validate(score, validation, collective)
        prove_identical(collective, state_digest(model, optimizer), f"after epoch {epoch}")
        train_loss, train_accuracy = (sums / steps).tolist()
        record = EpochRecord(
            epoch=epoch,
            learning_rate=rates[number - 1],
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
        )
        history = (*history, record)
        if checkpoints.best_epoch(history) == epoch:
            best = weights_of(model)
        if collective.rank == 0:
            checkpoints.save(work, Checkpoint(history, weights_of(model), best, optimizer_state(optimizer)))
        if logs:
            logs.write_epoch(record, model)


def make_deterministic(seed: int, threads: int) -> None:
    """Make the same inputs give the same bits, and set the seed from which the weights are initialised.

    One thread adds in a fixed order anyway; only several threads need TensorFlow's slower deterministic kernels.
    """
    import keras
    import tensorflow as tf

    if threads > 1:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed % 2**32)


def make_optimizer(train: TrainParams, model: Any) -> Any:
    """Return the recipe's Keras optimizer, built for the model; every step sets its learning rate."""
    import keras

    decay = {"weight_decay": train.weight_decay} if train.weight_decay else {}
    rate = train.learning_rate
    optimizers: dict[str, Callable[[], Any]] = {
        "sgd": lambda: keras.optimizers.SGD(rate, **decay),
        "momentum": lambda: keras.optimizers.SGD(rate, momentum=0.9, **decay),
        "nesterov": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **decay),
        "adam": lambda: keras.optimizers.Adam(rate, **decay),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=train.weight_decay),
    }
    optimizer = optimizers[train.optimizer]()
    optimizer.build(model.trainable_variables)
    return optimizer


def make_step(model: Any, optimizer: Any, job: Job, rates: list[float], collective: Collective) -> TrainingStep:
    """Return the function of one step: `(pixels, labels, number)` → mean loss and accuracy over the global batch.

    Everything that the ranks average goes through one flat tensor: gradients, loss and accuracy in a single exchange.
    """
    import tensorflow as tf

    logits_model = logits_of(model)
    variables = model.trainable_variables
    shapes = [tuple(variable.shape) for variable in variables]
    sizes = [math.prod(shape) for shape in shapes]
    share = job.train.batch_size // collective.size
    first_image = collective.rank * share
    classes, smoothing = len(job.classes), job.train.label_smoothing
    rate_of_step = tf.constant(rates, tf.float32)

    def step(pixels: Any, labels: Any, number: Any) -> Any:
        with tf.GradientTape() as tape, placed_dropout(logits_model, job.seed, number, first_image):
            logits = logits_model(pixels, training=True)
            targets = tf.one_hot(labels, classes) * (1.0 - smoothing) + smoothing / classes
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        accuracy = tf.reduce_mean(tf.cast(_hits(logits, labels), tf.float32))

        flat = tf.concat([*(tf.reshape(gradient, [-1]) for gradient in gradients), [loss, accuracy]], axis=0)
        *parts, figures = tf.split(collective.average(flat), [*sizes, 2])
        gradients = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        optimizer.learning_rate.assign(tf.gather(rate_of_step, number))
        optimizer.apply(gradients, variables)
        return figures

    signature = [
        tf.TensorSpec((share, *model.input_shape[1:]), tf.uint8),
        tf.TensorSpec((share,), tf.int32),
        tf.TensorSpec((), tf.int64),
    ]
    graph = tf.function(step, input_signature=signature)

    def run(pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32], number: int) -> tuple[float, float]:
        loss, accuracy = graph(pixels, labels, np.int64(number)).numpy().tolist()
        return loss, accuracy

    return run


def make_score(model: Any) -> Any:
    """Return the function that scores a batch: `(pixels, labels)` → summed cross-entropy and number of hits."""
    import tensorflow as tf

    logits_model = logits_of(model)

    def score(pixels: Any, labels: Any) -> Any:
        logits = logits_model(pixels, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(_hits(logits, labels), tf.float32))

    signature = [tf.TensorSpec(model.input_shape, tf.uint8), tf.TensorSpec((None,), tf.int32)]
    return tf.function(score, input_signature=signature)


def validate(score: Any, part: PartInMemory, collective: Collective) -> tuple[float, float]:
    """Return mean cross-entropy (nats) and accuracy over all rows; each rank scores its share of them once."""
    sums = np.zeros(2)
    for pixels, labels in validation_batches(part, _VALIDATION_BATCH, collective.rank, collective.size):
        sums += [float(value) for value in score(pixels, labels)]
    loss, hits = collective.total(sums) / len(part)
    return float(loss), float(hits)


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
        images_per_s = (number - self._first_step) * size / max(now_s - self._begun_s, 1e-9)
        left_s = (self._steps - number) * size / images_per_s
        speed = count(round(images_per_s))
        note = f"epoch {epoch}/{self._train.epochs}  loss {loss:.3f}  {speed} images/s  {left_s:.0f} s left"
        self._report.advance(number * size, self._steps * size, "images", note)


def _hits(logits: Any, labels: Any) -> Any:
    import tensorflow as tf

    return tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels)
