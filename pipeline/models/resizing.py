"""Resizing inside the served model: the arithmetic of `data/resizing.py` in TensorFlow, bit for bit, for any size.

The weights are made of integers and every sum is exact in float64, so that no order of addition, no number of threads
and no device can change a pixel. TensorFlow operations only: the exported graph needs neither Keras nor this package.
"""

from __future__ import annotations

from typing import Any

SIDE_LIMIT = 4096  # pixels, as for what a source delivers
_UNIT = 2**15


def resize(pixels: Any, height: int, width: int, name: str) -> Any:
    """Resize `[image, any, any, channel] uint8` to height and width; images of that size already are passed through.

    `name` leads the message of the InvalidArgumentError for images without a pixel, or above SIDE_LIMIT.
    """
    import tensorflow as tf

    sides = tf.shape(pixels, tf.int64)[1:3]
    is_possible = tf.reduce_all((sides >= 1) & (sides <= SIDE_LIMIT))
    said = f"{name}: images have from 1 to {SIDE_LIMIT} pixels a side, not"
    with tf.control_dependencies([tf.debugging.Assert(is_possible, [said, sides])]):
        is_resized = tf.reduce_all(sides == [height, width])
    fixed = (-1, height, width, pixels.shape[-1])
    resized = tf.cond(is_resized, lambda: pixels, lambda: _resampled(pixels, sides, height, width))
    return tf.ensure_shape(resized, (None, *fixed[1:]))


def _resampled(pixels: Any, sides: Any, height: int, width: int) -> Any:
    import tensorflow as tf

    rows, columns = _weights(sides[0], height), _weights(sides[1], width)

    def resampled(image: Any) -> Any:
        planes = tf.transpose(tf.cast(image, tf.float64), (2, 0, 1))
        exact = rows @ planes @ tf.transpose(columns)
        return tf.transpose(tf.cast(tf.floor(exact + 0.5), tf.uint8), (1, 2, 0))

    # One image at a time: float64 takes eight times the bytes of the pixels.
    shape = tf.TensorSpec((height, width, pixels.shape[-1]), tf.uint8)
    return tf.map_fn(resampled, pixels, fn_output_signature=shape)


def _weights(source: Any, target: int) -> Any:
    """Return the triangle filter `[target, source] float64`: multiples of 2^-15, each row adding up to exactly 1.

    See `resampling_weights` in `data/resizing.py`. Here only the source pixels that a row can reach are looked at.
    """
    import tensorflow as tf

    largest = tf.maximum(source, tf.constant(target, tf.int64))
    numbers = tf.range(target, dtype=tf.int64)[:, None]
    centres = (2 * numbers + 1) * source
    first = (centres - 2 * largest - target) // (2 * target) + 1
    taps = first + tf.range(2 * largest // target + 1)
    is_inside = tf.cast((taps >= 0) & (taps < source), tf.int64)
    reach = tf.nn.relu(2 * largest - tf.abs(centres - (2 * taps + 1) * target)) * is_inside
    total = tf.reduce_sum(reach, axis=1, keepdims=True)
    whole, remainders = reach * _UNIT // total, reach * _UNIT % total
    missing = _UNIT - tf.reduce_sum(whole, axis=1, keepdims=True)
    rank = tf.argsort(tf.argsort(remainders, direction="DESCENDING", stable=True))
    whole += tf.cast(tf.cast(rank, tf.int64) < missing, tf.int64)  # largest remainder: a flat image stays unchanged
    # Outside the image `whole` is 0: there it may be added anywhere.
    places = tf.stack([tf.broadcast_to(numbers, tf.shape(taps)), tf.clip_by_value(taps, 0, source - 1)], axis=2)
    exact = tf.scatter_nd(places, whole, tf.stack([tf.constant(target, tf.int64), source]))
    return tf.cast(exact, tf.float64) / _UNIT
