"""Categories inside the model: texts become the indices that `data/features/category.py` gives them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.records.feature import FeatureSpec

_UNKNOWN = 0
_OUTER_BLANKS = r"^[\s\v\p{Z}]+|[\s\v\p{Z}]+$"  # as in data/category_texts.py


def raw_input(spec: FeatureSpec) -> tuple[tuple[int | None, ...], str]:  # noqa: ARG001 - as every kind is asked
    """Return shape and dtype of one value as the served model takes it: a text in UTF-8, empty for a missing one."""
    return (), "string"


def prepare(spec: FeatureSpec, raw: Any) -> Any:
    """Return texts `[batch] string` as indices, `[batch] int32`, by TensorFlow operations.

    Letters that Unicode writes in two ways may come in its forms NFC and NFD.
    """
    import tensorflow as tf

    from pipeline.models.vocabulary import places

    indices = {word: index for index, word in enumerate(vocabulary(spec), 1)}
    forms = {form: index for word, index in indices.items() for form in (unicodedata.normalize("NFD", word), word)}
    bare = tf.strings.regex_replace(raw, _OUTER_BLANKS, "")
    fill = (spec.fitted or {}).get("fill")
    filled = tf.where(bare == "", "" if fill is None else fill, bare)
    found = places(filled, list(forms))
    return tf.where(found < 0, _UNKNOWN, tf.gather(tf.constant([*forms.values()], tf.int32), tf.maximum(found, 0)))


def layers(spec: FeatureSpec, prepared: Any) -> Any:
    """Return `[batch] int32`: indices as they are, which an architecture embeds.

    Raises DataError if what was fitted is no vocabulary.
    """
    vocabulary(spec)
    return prepared


def size(spec: FeatureSpec) -> int:
    """Return how many different indices there may be, from 0; raises as `layers`."""
    return len(vocabulary(spec)) + 1


def vocabulary(spec: FeatureSpec) -> list[str]:
    """Return the categories that have an index, the first's is 1; raises as `layers`."""
    fitted: dict[str, Any] = spec.fitted or {}
    words, fill = fitted.get("vocabulary", []), fitted.get("fill")
    is_one = isinstance(words, list) and all(isinstance(word, str) and word for word in words)
    if not is_one or not 0 < len(words) == len(set(words)) or not (fill is None or isinstance(fill, str)):
        raise DataError(
            f"feature {spec.name}: what was fitted is no vocabulary of different categories; train it again"
        )
    return list(words)
