"""Layers that architectures share: a training on many ranks has the same of them as one on a single rank.

Keras' own dropout and batch normalization see only a rank's share of the global batch. These see where in it the share
stands (`placed`), however deep in a model they are. Importing this module does nothing; Keras is imported when a layer
is made.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

DROPOUT_NUMBERS = "position_dropout_numbers"  # what the operation that draws them is called in a graph


@dataclass
class Place:
    """Where a forward pass stands: the step (a tensor, `[] int64`), and which equal share of the global batch it has.

    `stack(values, name)` returns the tensors of all ranks, `[rank, …]`, with their gradients. In a trial, without it,
    nothing is dropped, and the moving averages normalise: then each row's result is a function of that row alone.
    """

    seed: int
    step: Any
    rank: int
    stack: Callable[[Any, str], Any] | None
    _layers: dict[str, list[int]] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)

    def key(self, layer: Any) -> str:
        """Return a name for this call of a layer: its path, and what tells it from others of that path and calls."""
        path = path_of(layer)
        same_path = self._layers.setdefault(path, [])
        if id(layer) not in same_path:
            same_path.append(id(layer))
        number = same_path.index(id(layer))
        key = f"{path}#{number}" if number else path
        calls = self._calls[key] = self._calls.get(key, 0) + 1
        return key if calls == 1 else f"{key}@{calls}"


def path_of(layer: Any) -> str:
    """Return where a layer stands in its model, `block/dropout`; its name, if Keras has never built it."""
    return str(layer.path or layer.name)


_PLACE: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def placed(place: Place) -> Iterator[None]:
    """Within the block, the layers of this module know their place; it holds for one forward pass."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


def position_dropout(rate: float, name: str) -> Any:
    """Make a dropout layer whose mask is a function of seed, step, layer and the row's position in the global batch.

    So one worker and many drop the same units, and a resumed run continues as if it had never stopped: there is no
    state to save. The layer works inside `placed`; elsewhere, and at inference, it does nothing. Its input's first axis
    holds the rows of the batch, each in one or in several consecutive entries.
    Counter-based random numbers: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    return _position_dropout_class()(rate, name=name)


def batch_normalization(name: str, *, momentum: float = 0.99, epsilon: float = 1e-3) -> Any:
    """Make a layer that normalises each channel (the last axis) over the whole global batch, and then scales it.

    While it trains, inside `placed`, mean and variance are those of all ranks' rows; the moving averages, which
    normalise at inference, are updated with them, to the same bits on every rank. One whose `trainable` is False
    normalises with its moving averages. The layer before it needs no bias (`use_bias=False`): it would be taken out.
    Ioffe and Szegedy, "Batch Normalization", ICML 2015; the variances of shares are joined as in Chan, Golub and
    LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979, equation 2.1.
    """
    return batch_normalization_class()(momentum=momentum, epsilon=epsilon, name=name)


@functools.cache
def _position_dropout_class() -> Any:
    import keras
    import tensorflow as tf

    numbers_per_block = 4  # Philox4x32 makes four numbers from one counter

    class PositionDropout(keras.layers.Layer):  # type: ignore[misc] # Keras publishes no types
        """See `position_dropout`."""

        def __init__(self, rate: float, **settings: Any) -> None:
            super().__init__(**settings)
            self.rate = rate

        def call(self, inputs: Any, training: bool = False) -> Any:
            """While training, drop units at random and scale up the others."""
            place = _PLACE.get()
            if not training or self.rate == 0 or place is None or place.stack is None:
                return inputs
            key = tf.constant([(place.seed ^ zlib.crc32(place.key(self).encode())) % 2**63], tf.uint64)
            units = math.prod(inputs.shape[1:])
            blocks = -(-units // numbers_per_block)  # whole blocks per row, so that no two rows share one
            rows = tf.shape(inputs)[0]
            before = tf.cast(rows, tf.uint64) * tf.constant(place.rank * blocks, tf.uint64)
            counter = tf.stack([before, tf.cast(place.step, tf.uint64)])
            numbers = tf.raw_ops.StatelessRandomUniformV2(
                shape=tf.stack([rows, blocks * numbers_per_block]),
                key=key,
                counter=counter,
                alg=1,
                name=DROPOUT_NUMBERS,
            )
            kept = tf.reshape(numbers[:, :units] >= self.rate, tf.shape(inputs))
            return tf.where(kept, inputs / (1.0 - self.rate), 0.0)

        def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            """Return the input's shape: layers that hold this one, such as TimeDistributed, ask."""
            return input_shape

        def get_config(self) -> dict[str, Any]:
            """Return the layer's settings, as Keras requires."""
            return {**super().get_config(), "rate": self.rate}

    return PositionDropout


@functools.cache
def batch_normalization_class() -> Any:
    """Return the class of `batch_normalization`'s layers: whoever looks for state that ranks share knows them by it."""
    import keras
    import tensorflow as tf

    class GlobalBatchNormalization(keras.layers.Layer):  # type: ignore[misc] # Keras publishes no types
        """See `batch_normalization`."""

        def __init__(self, momentum: float, epsilon: float, **settings: Any) -> None:
            super().__init__(**settings)
            self.momentum = momentum
            self.epsilon = epsilon

        def build(self, input_shape: tuple[int | None, ...]) -> None:
            """Make the weights of each channel, with the names that Keras' own layer gives them."""
            channels = input_shape[-1:]
            self.gamma = self.add_weight(shape=channels, initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=channels, initializer="zeros", name="beta")
            averages = {"shape": channels, "trainable": False}
            self.moving_mean = self.add_weight(initializer="zeros", name="moving_mean", **averages)
            self.moving_variance = self.add_weight(initializer="ones", name="moving_variance", **averages)

        def call(self, inputs: Any, training: bool = False) -> Any:
            """Normalise: while training with the moments of the global batch, else with their moving averages."""
            place = _PLACE.get()
            if training and self.trainable and place is not None and place.stack is not None:
                mean, variance = self._moments(inputs, place)
                for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                    average.assign(average * self.momentum + value * (1.0 - self.momentum))
            else:
                mean, variance = self.moving_mean.value, self.moving_variance.value
            return tf.nn.batch_normalization(inputs, mean, variance, self.beta.value, self.gamma.value, self.epsilon)

        def _moments(self, inputs: Any, place: Place) -> tuple[Any, Any]:
            """Return mean and variance `[channel]` over the rows of all ranks, whose shares are equally large."""
            own = tf.nn.moments(inputs, list(range(len(inputs.shape) - 1)))
            assert place.stack is not None
            shares = place.stack(tf.stack(own), f"moments.{place.key(self)}")  # [rank, moment, channel]
            means, variances = shares[:, 0], shares[:, 1]
            mean = tf.reduce_mean(means, axis=0)
            return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)

        def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            """Return the input's shape: layers that hold this one, such as TimeDistributed, ask."""
            return input_shape

        def get_config(self) -> dict[str, Any]:
            """Return the layer's settings, as Keras requires."""
            return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}

    return GlobalBatchNormalization
