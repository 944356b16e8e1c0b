"""One step of a training, and the scoring of the validation part, as graphs of TensorFlow's operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError
from pipeline.models.layers import Place, placed
from pipeline.recipe.recipe import OPTIMIZER
from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from pipeline.records.training_history import LOSS, PENALTY
from pipeline.storage.shards import Columns
from pipeline.training.batches import Labels, Part, validation_batches
from pipeline.training.collective import Collective
from pipeline.training.objective import Objective

_VALIDATION_BATCH = 256
Figures = npt.NDArray[np.float64]


def make_optimizer(optimizer: Choice, learning_rate: float, model: Any) -> Any:
    """Return the recipe's Keras optimizer, built for the model; every step sets its learning rate.

    Raises UsageError for one that would ignore the schedule, or whose averaged weights nobody would use.
    """
    import keras

    settings = OPTIMIZER.settings(optimizer, "train.optimizer")
    built = OPTIMIZER.member(optimizer.name).build(settings, learning_rate)
    file = f"{OPTIMIZER.folder}/{optimizer.name}.py"
    if not isinstance(built, keras.optimizers.Optimizer):
        raise UsageError(f"{file}: build returned {type(built).__name__}, not an optimizer of Keras")
    if not isinstance(built.learning_rate, keras.Variable):
        raise UsageError(f"{file}: has a schedule of its own; give it learning_rate, and choose train.schedule instead")
    if getattr(built, "use_ema", False):
        raise UsageError(f"{file}: use_ema averages weights that would not be used; leave it out")
    built.build(model.trainable_variables)
    return built


class TrainingStep:
    """A step: `(columns, labels, number)` → figures, as means over the global batch in the order of `names`.

    `names` are the objective's, and `penalty` if the model adds losses of its own. Everything that the ranks average
    goes through one flat tensor: gradients and figures in a single exchange. The graph is traced when the step is made.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        objective: Objective,
        features: tuple[FeatureSpec, ...],
        share: int,
        seed: int,
        rates: list[float],
        collective: Collective,
    ) -> None:
        """Trace the step of a rank whose share of a batch is so many rows; `model` gives logits.

        Raises UsageError for a weight that the loss does not depend on.
        """
        import tensorflow as tf

        variables = model.trainable_variables
        shapes = [tuple(variable.shape) for variable in variables]
        sizes = [math.prod(shape) for shape in shapes]
        rate_of_step = tf.constant(rates, tf.float32)
        names: list[str] = []

        def step(columns: dict[str, Any], labels: Any, number: Any) -> Any:
            place = Place(seed, number, collective.rank, collective.stack)
            with tf.GradientTape() as tape, placed(place):
                logits = model(columns, training=True)
                figures = {name: tf.reduce_mean(values) for name, values in objective.of_rows(labels, logits).items()}
                loss, own = figures[LOSS], model.losses
                if own:
                    figures[PENALTY] = tf.add_n(own)
                    loss += figures[PENALTY]
                loss = optimizer.scale_loss(loss)
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            for variable, gradient in zip(variables, gradients, strict=True):
                if gradient is None:
                    raise UsageError(
                        f"model: the loss does not depend on weight {variable.path}, so it would never be trained; "
                        "connect its layer to the output, remove it, or set its trainable to False"
                    )
            names[:] = figures
            flat = tf.concat([*(tf.reshape(gradient, [-1]) for gradient in gradients), [*figures.values()]], axis=0)
            *parts, averaged = tf.split(collective.average(flat), [*sizes, len(figures)])
            gradients = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
            optimizer.learning_rate.assign(tf.gather(rate_of_step, number))
            optimizer.apply(gradients, variables)
            return averaged

        columns = _signature(features, share)
        signature = [columns, tf.TensorSpec((share,), tf.int32), tf.TensorSpec((), tf.int64)]
        # Without AutoGraph, as Keras traces its own steps: an error is raised as it is.
        self._run = tf.function(step, input_signature=signature, autograph=False)
        self.graph = self._run.get_concrete_function().graph
        self.names = tuple(names)

    def __call__(self, columns: Columns, labels: Labels, number: int) -> Figures:
        """Run step `number` of the whole training on this rank's share of the batch."""
        return np.asarray(self._run(columns, labels, np.int64(number)), np.float64)


class Score:
    """Scores a batch: `(columns, labels)` → the sum over its rows of each of the objective's figures."""

    def __init__(self, model: Any, objective: Objective, features: tuple[FeatureSpec, ...]) -> None:
        import tensorflow as tf

        names: list[str] = []

        def score(columns: dict[str, Any], labels: Any) -> Any:
            figures = objective.of_rows(labels, model(columns, training=False))
            names[:] = figures
            return [tf.reduce_sum(values) for values in figures.values()]

        signature = [_signature(features, None), tf.TensorSpec((None,), tf.int32)]
        self._run = tf.function(score, input_signature=signature, autograph=False)
        self._run.get_concrete_function()
        self.names = tuple(names)

    def __call__(self, columns: Columns, labels: Labels) -> Figures:
        """Score one batch."""
        return np.asarray([float(value) for value in self._run(columns, labels)])


def validate(score: Score, part: Part, collective: Collective) -> dict[str, float]:
    """Return the objective's figures as means over all rows; each rank scores its share of them once."""
    sums = np.zeros(len(score.names))
    for columns, labels in validation_batches(part, _VALIDATION_BATCH, collective.rank, collective.size):
        sums += score(columns, labels)
    means = collective.total(sums) / len(part)
    return dict(zip(score.names, means.tolist(), strict=True))


def _signature(features: tuple[FeatureSpec, ...], rows: int | None) -> dict[str, Any]:
    import tensorflow as tf

    return {spec.name: tf.TensorSpec((rows, *spec.shape), spec.dtype) for spec in features}
