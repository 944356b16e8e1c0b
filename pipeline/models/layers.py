"""Layers that architectures share. Importing this module does nothing; Keras is imported when a layer is made."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def position_dropout(rate: float, name: str) -> Any:
    """Make a dropout layer whose mask is a function of seed, step and the image's position in the global batch.

    So one worker and many drop the same units, and a resumed run continues as if it had never stopped: there is no
    state to save. The layer works inside `placed_dropout`; elsewhere, and at inference, it does nothing.
    Counter-based random numbers: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    return _position_dropout_class()(rate, name=name)


@contextmanager
def placed_dropout(model: Any, seed: int, step: Any, first_image: int) -> Iterator[None]:
    """Within the block, the model's dropout layers know the step and the first image's position in the global batch."""
    layers = [layer for layer in model.layers if isinstance(layer, _position_dropout_class())]
    for layer in layers:
        layer.position = (seed, step, first_image)
    yield
    for layer in layers:
        layer.position = None  # a tensor of a graph must not outlive its tracing


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
            self.position: tuple[int, Any, int] | None = None

        def call(self, inputs: Any, training: bool = False) -> Any:
            """While training, drop units at random and scale up the others."""
            if not training or self.rate == 0 or self.position is None:
                return inputs
            seed, step, first_image = self.position
            key = tf.constant([(seed ^ zlib.crc32(self.name.encode())) % 2**63], tf.uint64)
            units = 1
            for length in inputs.shape[1:]:
                units *= length
            blocks = -(-units // numbers_per_block)  # whole blocks per image, so that no two images share one
            images = tf.shape(inputs)[0]
            counter = tf.stack([tf.constant(first_image * blocks, tf.uint64), tf.cast(step, tf.uint64)])
            numbers = tf.raw_ops.StatelessRandomUniformV2(
                shape=tf.stack([images, blocks * numbers_per_block]), key=key, counter=counter, alg=1
            )
            kept = tf.reshape(numbers[:, :units] >= self.rate, tf.shape(inputs))
            return tf.where(kept, inputs / (1.0 - self.rate), 0.0)

        def get_config(self) -> dict[str, Any]:
            """Return the layer's settings, as Keras requires."""
            return {**super().get_config(), "rate": self.rate}

    return PositionDropout
