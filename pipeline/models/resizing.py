"""Resizing inside the served model: the arithmetic of `data/resizing.py` in TensorFlow, bit for bit, for any size.

The weights are made of integers and every sum is exact in float64, so that no order of addition, no number of threads
and no device can change a pixel. TensorFlow operations only: the exported graph needs neither Keras nor this package.
"""

from __future__ import annotations

from typing import Any, Literal

Rule = Literal["stretch", "crop", "pad"]
SIDE_LIMIT = 16_384  # pixels, as for what a source delivers: data/decoding.py
_UNIT = 2**15


def resize(pixels: Any, height: int, width: int, name: str, rule: Rule = "stretch", background: int = 255) -> Any:
    """Resize `[image, any, any, channel] uint8` to height and width; images of that size already are passed through.

    `rule` and `background` say how another aspect fits. `name` leads the message of the InvalidArgumentError for images
    without a pixel, or above SIDE_LIMIT.
    """
    import tensorflow as tf

    sides = tf.shape(pixels, tf.int64)[1:3]
    is_possible = tf.reduce_all((sides >= 1) & (sides <= SIDE_LIMIT))
    said = f"{name}: images have from 1 to {SIDE_LIMIT} pixels a side, not"
    with tf.control_dependencies([tf.debugging.Assert(is_possible, [said, sides])]):
        is_resized = tf.reduce_all(sides == [height, width])

    def fitted() -> Any:
        if rule == "pad":
            return _padded(pixels, sides, height, width, background)
        whole = _cropped(pixels, sides, height, width) if rule == "crop" else pixels
        return _resampled(whole, (height, width), (height, width))

    return tf.ensure_shape(tf.cond(is_resized, lambda: pixels, fitted), (None, height, width, pixels.shape[-1]))


def _cropped(pixels: Any, sides: Any, height: int, width: int) -> Any:
    """Cut out the largest centred rectangle of the target's aspect: `crop_box` in `data/resizing.py`."""
    import tensorflow as tf

    tall, wide = sides[0], sides[1]
    is_too_tall = tall * width > wide * height
    cut_tall = tf.where(is_too_tall, tf.maximum(_rounded(wide * height, width), 1), tall)
    cut_wide = tf.where(is_too_tall, wide, tf.maximum(_rounded(tall * width, height), 1))
    top, left = (tall - cut_tall) // 2, (wide - cut_wide) // 2
    return pixels[:, top : top + cut_tall, left : left + cut_wide]


def _padded(pixels: Any, sides: Any, height: int, width: int, background: int) -> Any:
    """Resize so that the whole image fits, centred on the background: `inner_size` in `data/resizing.py`."""
    import tensorflow as tf

    tall, wide = sides[0], sides[1]
    is_too_tall = tall * width > wide * height
    full_height, full_width = tf.constant(height, tf.int64), tf.constant(width, tf.int64)
    inner_height = tf.where(is_too_tall, full_height, tf.maximum(_rounded(tall * width, wide), 1))
    inner_width = tf.where(is_too_tall, tf.maximum(_rounded(wide * height, tall), 1), full_width)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    none = tf.constant(0, tf.int64)
    around = [[top, height - inner_height - top], [left, width - inner_width - left], [none, none]]
    level = tf.constant(background, tf.float32)  # which holds grey levels exactly; ONNX pads no uint8

    def padded(image: Any) -> Any:
        return tf.cast(tf.pad(tf.cast(image, tf.float32), tf.stack(around), constant_values=level), tf.uint8)

    return _resampled(pixels, (inner_height, inner_width), (height, width), padded)


def _rounded(numerator: Any, denominator: Any) -> Any:
    """Divide natural numbers; halves round up."""
    return (2 * numerator + denominator) // (2 * denominator)


def _resampled(pixels: Any, inner: tuple[Any, Any], full: tuple[int, int], finish: Any = None) -> Any:
    """Resize to the `inner` height and width, then `finish` each image, which has the `full` ones then."""
    import tensorflow as tf

    sides = tf.shape(pixels, tf.int64)[1:3]
    rows, columns = (_weights(sides[axis], tf.cast(inner[axis], tf.int64)) for axis in (0, 1))

    def resampled(image: Any) -> Any:
        planes = tf.transpose(tf.cast(image, tf.float64), (2, 0, 1))
        exact = rows @ planes @ tf.transpose(columns)
        whole = tf.transpose(tf.cast(tf.floor(exact + 0.5), tf.uint8), (1, 2, 0))
        return whole if finish is None else finish(whole)

    # One image at a time: float64 takes eight times the bytes of the pixels.
    shape = tf.TensorSpec((*full, pixels.shape[-1]), tf.uint8)
    return tf.map_fn(resampled, pixels, fn_output_signature=shape)


def _weights(source: Any, target: Any) -> Any:
    """Return the triangle filter `[target, source] float64`: multiples of 2^-15, each row adding up to exactly 1.

    See `resampling_weights` in `data/resizing.py`. Here only the source pixels that a row can reach are looked at.
    """
    import tensorflow as tf

    largest = tf.maximum(source, target)
    numbers = tf.range(target)[:, None]
    centres = (2 * numbers + 1) * source
    # Of nothing below zero: there ONNX rounds towards it, and not down.
    first = (centres - 2 * largest - target + 4 * largest * target) // (2 * target) + 1 - 2 * largest
    taps = first + tf.range(2 * largest // target + 1)
    is_inside = tf.cast((taps >= 0) & (taps < source), tf.int64)
    reach = tf.nn.relu(2 * largest - tf.abs(centres - (2 * taps + 1) * target)) * is_inside
    total = tf.reduce_sum(reach, axis=1, keepdims=True)
    whole, remainders = reach * _UNIT // total, reach * _UNIT % total
    missing = _UNIT - tf.reduce_sum(whole, axis=1, keepdims=True)
    rank = tf.argsort(tf.argsort(remainders, direction="DESCENDING", stable=True))
    whole += tf.cast(tf.cast(rank, tf.int64) < missing, tf.int64)  # largest remainder: a flat image stays unchanged
    # With a margin for the taps outside the image, so that no two have one place: ONNX keeps the last and adds nothing.
    margin = tf.shape(taps, tf.int64)[1]
    places = tf.stack([tf.broadcast_to(numbers, tf.shape(taps)), taps + margin], axis=2)
    exact = tf.scatter_nd(places, whole, tf.stack([target, source + 2 * margin]))[:, margin : margin + source]
    return tf.cast(exact, tf.float64) / _UNIT
