"""Texts inside the model: as `data/features/text.py` does, to numbers of the fitted vocabulary, or to TF-IDF.

A served model takes UTF-8 in Unicode's form NFC, which no operation of TensorFlow makes: of another form, characters
that are put together are other ones than the vocabulary's. A missing text is an empty one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.records.feature import FeatureSpec

_UNKNOWN, _FIRST = 1, 2


def raw_input(spec: FeatureSpec) -> tuple[tuple[int | None, ...], str]:  # noqa: ARG001 - as every kind is asked
    """Return shape and dtype of one value as the served model takes it: a text."""
    return (), "string"


def size(spec: FeatureSpec) -> int:
    """Return how many numbers there may be in a prepared text of form ids."""
    return len(_vocabulary(spec)) + _FIRST


def prepare(spec: FeatureSpec, raw: Any) -> Any:
    """Return texts `[batch] string` as prepared ones, by TensorFlow operations; raises as `layers`."""
    import tensorflow as tf

    from pipeline.models.tokens import of_length, padded_terms, tokens
    from pipeline.models.vocabulary import places

    vocabulary, fitted, kind = _vocabulary(spec), spec.fitted or {}, spec.settings["tokens"]
    lengths, [width] = spec.settings["ngrams"], spec.shape
    found = tokens(raw, kind, fitted["characters"])
    if spec.dtype == "int32":

        def numbers(terms: Any) -> Any:
            place = places(terms, vocabulary)
            return tf.where(place < 0, _UNKNOWN, place + _FIRST)

        return padded_terms(found, lengths, kind, numbers, width)

    rows, counts = tf.shape(raw, tf.int64)[0], []
    for length in lengths:
        terms = of_length(found, length, kind)
        place = tf.cast(places(terms.flat_values, vocabulary), tf.int64)
        cell = terms.value_rowids() * width + place
        known = tf.boolean_mask(cell, place >= 0)
        counts.append(tf.math.unsorted_segment_sum(tf.ones_like(known, tf.float64), known, rows * width))
    weights = tf.constant([*fitted["weights"], *[0.0] * (width - len(vocabulary))], tf.float64)
    weighted = tf.reshape(tf.add_n(counts), [-1, width]) * weights
    norm = tf.sqrt(tf.reduce_sum(weighted * weighted, axis=1, keepdims=True))
    return tf.cast(tf.math.divide_no_nan(weighted, norm), tf.float32)


def layers(spec: FeatureSpec, prepared: Any) -> Any:
    """Return prepared texts as they are: numbers `[batch, length] int32`, or TF-IDF `[batch, terms] float32`.

    Raises DataError if what was fitted is no vocabulary, or one that does not fit.
    """
    _vocabulary(spec)
    return prepared


def _vocabulary(spec: FeatureSpec) -> list[str]:
    fitted = spec.fitted or {}
    vocabulary, characters, weights = (fitted.get(name) for name in ("vocabulary", "characters", "weights"))
    if not isinstance(vocabulary, list) or not vocabulary or not isinstance(characters, dict):
        raise DataError(f"feature {spec.name}: what was fitted is not a vocabulary; train it again")
    if spec.dtype == "float32":
        [width] = spec.shape
        if not isinstance(weights, list) or len(weights) != len(vocabulary) or len(vocabulary) > width:
            raise DataError(f"feature {spec.name}: {len(vocabulary)} terms do not fit {width} weights; train it again")
    return vocabulary
