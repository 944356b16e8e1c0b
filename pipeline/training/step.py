"""One step of a training, and the scoring of the validation part, as graphs of TensorFlow's operations."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError
from pipeline.recipe.recipe import OPTIMIZER, TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from pipeline.records.training_history import LOSS, PENALTY
from pipeline.storage.shards import Columns
from pipeline.training.batches import Batch, Part, Targets, rank_share, validation_batch
from pipeline.training.collective import Collective
from pipeline.training.objective import Objective
from pipeline.training.tree import added, block_of

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
    """A step: `(micro-batches, number)` → figures, as means over the global batch in the order of `names`.

    `names` are the objective's, and `penalty` if the model adds losses of its own. A micro-batch is computed by one
    graph of a fixed signature that assigns nothing: what it gives is one flat tensor, with the gradients, the new
    values of the state that it changes (the averages of a batch normalization) and the figures. The tensors of all
    virtual workers are added outside of any graph, which could add in another order (TensorFlow's Grappler does), and
    the mean is what the optimizer applies and the state becomes.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        objective: Objective,
        features: tuple[FeatureSpec, ...],
        train: TrainParams,
        seed: int,
        rates: list[float],
        collective: Collective,
        each: Callable[..., Iterable[Any]] = map,
        *,
        is_mixed: bool = False,
    ) -> None:
        """Trace the graphs; `model` gives logits, and `each` calls a function for each micro-batch, as `map` does.

        With `is_mixed` rows may have two labels. Raises UsageError for a weight that the loss does not depend on, and
        for state that a step cannot carry.
        """
        self._train, self._collective, self._each = train, collective, each
        self.block = block_of(collective.rank, collective.size, train.virtual_workers)
        self._trace_micro_batch(model, optimizer, objective, features, seed, is_mixed=is_mixed)
        self._trace_update(model, optimizer, rates)

    def __call__(self, batches: Sequence[Batch], number: int) -> Figures:
        """Take step `number` of the whole training with the micro-batches of this rank's block of virtual workers."""
        tensors = self._each(self.micro_batch, batches, [number] * len(batches), self.block)
        leaves = self._train.virtual_workers
        if self._train.exact:
            nodes = (((worker, worker + 1), tensor) for worker, tensor in zip(self.block, tensors, strict=True))
            total = self._collective.tree_sum(added(nodes, leaves, operator.add), leaves)
        else:
            total = self._collective.fast_sum(functools.reduce(operator.add, tensors))
        return np.asarray(self._update(total, np.int64(number)), np.float64)

    def micro_batch(self, batch: Batch, number: int, virtual_worker: int) -> Any:
        """Return the flat tensor of a virtual worker's micro-batch in a step."""
        columns, targets = batch
        return self._micro_batch(columns, targets, np.int64(number), np.int64(virtual_worker))

    def _trace_micro_batch(
        self,
        model: Any,
        optimizer: Any,
        objective: Objective,
        features: tuple[FeatureSpec, ...],
        seed: int,
        *,
        is_mixed: bool,
    ) -> None:
        import keras
        import tensorflow as tf

        weights, seeds = model.trainable_variables, random_states(model)
        carried = [*weights, *model.non_trainable_weights]
        names: list[str] = []
        changed: list[Any] = []

        def micro_batch(columns: dict[str, Any], targets: Any, number: Any, virtual_worker: Any) -> Any:
            given = [(variable, tf.convert_to_tensor(variable.value)) for variable in carried]
            given += zip(seeds, draws(seed, number, virtual_worker, len(seeds)), strict=True)
            with tf.GradientTape() as tape, keras.StatelessScope(given, collect_losses=True) as scope:
                before = [scope.get_current_value(variable) for variable in carried]
                tape.watch(before[: len(weights)])
                logits = model(columns, training=True)
                figures = {name: tf.reduce_mean(rows) for name, rows in objective.of_rows(targets, logits).items()}
                loss, own = figures[LOSS], model.losses
                if own:
                    figures[PENALTY] = tf.add_n(own)
                    loss += figures[PENALTY]
                loss = optimizer.scale_loss(loss)
            gradients = tape.gradient(loss, before[: len(weights)])
            _require_gradients(weights, gradients)
            changed[:] = [v for v, old in zip(carried, before, strict=True) if scope.get_current_value(v) is not old]
            _require_carried(changed)
            names[:] = figures
            state = [scope.get_current_value(variable) for variable in changed]
            tensors = [*gradients, *state, *figures.values()]
            return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)

        rows = self._train.batch_size // self._train.virtual_workers
        number = tf.TensorSpec((), tf.int64)
        label = objective.label_type
        # Where rows may have two labels: the other one, and the share of the first. Where they have weights: these.
        kinds = [*((label, label, "float32") if is_mixed else (label,)), *_weight_kinds(objective)]
        targets = tuple(tf.TensorSpec((rows,), kind) for kind in kinds)
        signature = [_signature(features, rows), targets, number, number]
        # Without AutoGraph, as Keras traces its own steps: an error is raised as it is.
        self._micro_batch = tf.function(micro_batch, input_signature=signature, autograph=False)
        self.graph = self._micro_batch.get_concrete_function().graph
        self.names = tuple(names)
        self._changed = tuple(changed)

    def _trace_update(self, model: Any, optimizer: Any, rates: list[float]) -> None:
        import tensorflow as tf

        weights = model.trainable_variables
        shapes = [tuple(variable.shape) for variable in [*weights, *self._changed]]
        sizes = [math.prod(shape) for shape in shapes] + [len(self.names)]
        rate_of_step = tf.constant(rates, tf.float32)

        def update(total: Any, number: Any) -> Any:
            *parts, figures = tf.split(total / self._train.virtual_workers, sizes)
            means = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
            for variable, mean in zip(self._changed, means[len(weights) :], strict=True):
                variable.assign(mean)
            optimizer.learning_rate.assign(tf.gather(rate_of_step, number))
            optimizer.apply(means[: len(weights)], weights)
            return figures

        signature = [tf.TensorSpec((sum(sizes),), tf.float32), tf.TensorSpec((), tf.int64)]
        self._update = tf.function(update, input_signature=signature, autograph=False)
        self._update.get_concrete_function()


def random_states(model: Any) -> list[Any]:
    """Return the variables from which a model's layers draw random numbers: Keras' seed generators, in their order."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.non_trainable_variables if id(variable) not in weights]


def draws(seed: int, step: Any, virtual_worker: Any, count: int) -> Any:
    """Return random states `[count, 2] int64` as a function of seed, step and virtual worker: tensors `[] int64`.

    So a virtual worker draws the same wherever it is carried, and a resumed run continues as if it had never stopped.
    Counter-based random numbers: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    import tensorflow as tf

    counter = tf.stack([virtual_worker * 2**32, step])  # the low bits count what is drawn
    numbers = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count, 2],
        key=tf.constant([seed], tf.uint64),
        counter=tf.bitcast(counter, tf.uint64),
        alg=1,
        dtype=tf.uint32,
    )
    return tf.unstack(tf.cast(numbers, tf.int64), count)


def _require_gradients(weights: Sequence[Any], gradients: Sequence[Any]) -> None:
    for variable, gradient in zip(weights, gradients, strict=True):
        if gradient is None:
            raise UsageError(
                f"model: the loss does not depend on weight {variable.path}, so it would never be trained; "
                "connect its layer to the output, remove it, or set its trainable to False"
            )


def _require_carried(changed: Sequence[Any]) -> None:
    for variable in changed:
        if variable.trainable:
            raise UsageError(
                f"model: a call changes weight {variable.path}, which the optimizer trains too; set its trainable to "
                "False, or take the layer that changes it out"
            )
        if variable.dtype != "float32":
            raise UsageError(
                f"model: a step changes {variable.path}, which is {variable.dtype}; virtual workers average their "
                "state, so it must be float32"
            )


class Score:
    """Scores a batch: `(columns, targets)` → the sum over its rows of each of the objective's figures."""

    def __init__(self, model: Any, objective: Objective, features: tuple[FeatureSpec, ...]) -> None:
        import tensorflow as tf

        names: list[str] = []

        def score(columns: dict[str, Any], targets: Any) -> Any:
            figures = objective.of_rows(targets, model(columns, training=False))
            names[:] = figures
            return [tf.reduce_sum(values) for values in figures.values()]

        kinds = [objective.label_type, *_weight_kinds(objective)]
        signature = [_signature(features, None), tuple(tf.TensorSpec((None,), kind) for kind in kinds)]
        self._run = tf.function(score, input_signature=signature, autograph=False)
        self._run.get_concrete_function()
        self.names = tuple(names)

    def __call__(self, columns: Columns, targets: Targets) -> Figures:
        """Score one batch."""
        return np.asarray([float(value) for value in self._run(columns, targets)])


def validate(
    score: Score, part: Part, collective: Collective, each: Callable[..., Iterable[Any]] = map
) -> dict[str, float]:
    """Return the objective's figures as means over all rows, the same bits however many ranks there are.

    Each rank scores its share of the batches once; all sums are added in the order of the batches.
    """
    count = math.ceil(len(part) / _VALIDATION_BATCH)
    shares = [rank_share(count, rank, collective.size) for rank in range(collective.size)]
    own = np.zeros((max(map(len, shares)), len(score.names)))
    batches = (validation_batch(part, number, _VALIDATION_BATCH) for number in shares[collective.rank])
    for row, sums in enumerate(each(lambda batch: score(*batch), batches)):
        own[row] = sums
    total = np.zeros(len(score.names))
    for share, content in zip(shares, collective.gather(own.tobytes()), strict=True):
        for sums in np.frombuffer(content).reshape(own.shape)[: len(share)]:
            total += sums
    return dict(zip(score.names, (total / len(part)).tolist(), strict=True))


def _weight_kinds(objective: Objective) -> list[str]:
    return ["float32"] if objective.is_weighted else []


def _signature(features: tuple[FeatureSpec, ...], rows: int | None) -> dict[str, Any]:
    import tensorflow as tf

    return {spec.name: tf.TensorSpec((rows, *spec.shape), spec.dtype) for spec in features}
