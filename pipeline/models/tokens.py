"""From texts to terms by TensorFlow operations, with the characters as they were fitted.

It does to every text in UTF-8 and form NFC exactly what `data/characters.py` and `data/tokens.py` do in the data phase.
What is no UTF-8 is read as if U+FFFD stood there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_BETWEEN = {"words": " ", "characters": ""}
_CODE_POINTS = 0x110000
_DROPPED, _SEPARATOR = 0, ord(" ")


def tokens(texts: Any, kind: str, characters: Mapping[str, Any]) -> Any:
    """Return the tokens of `[batch] string`, a ragged `[batch, (token)] string`: words, or characters.

    `characters` says what each character becomes: `rule` of `data/characters.py`.
    """
    import tensorflow as tf

    codes = tf.strings.unicode_decode(texts, "UTF-8")
    become = codes.with_flat_values(tf.gather(tf.constant(_table(characters)), codes.flat_values))
    read = tf.strings.unicode_encode(tf.ragged.boolean_mask(become, become != _DROPPED), "UTF-8")
    words = tf.strings.split(read, " ")  # by that blank alone: without it, the locale says what is one
    words = tf.ragged.boolean_mask(words, words != "")
    if kind == "words":
        return words
    return tf.strings.unicode_split(tf.strings.reduce_join(words, axis=-1, separator=" "), "UTF-8")


def of_length(found: Any, length: int, kind: str) -> Any:
    """Return the terms of so many tokens of each text, ragged as the tokens are."""
    import tensorflow as tf

    return found if length == 1 else tf.strings.ngrams(found, length, separator=_BETWEEN[kind])


def _table(characters: Mapping[str, Any]) -> Any:
    """Return what each code point becomes, `[code point] int32`."""
    import numpy as np

    table = np.full(_CODE_POINTS, _SEPARATOR, np.int32)
    for first, last in characters["kept"]:
        table[first : last + 1] = np.arange(first, last + 1)
    for first, last in characters["dropped"]:
        table[first : last + 1] = _DROPPED
    for upper, lower in characters["lower"]:
        table[upper] = lower
    return table


def padded_terms(found: Any, lengths: Sequence[int], kind: str, numbers: Any, width: int) -> Any:
    """Return `[batch, width] int32`: the numbers of the terms in the order in which they begin, then 0.

    Of those that begin together the shorter comes first. `numbers` are the terms' `[term] int32`, from 1.
    """
    import tensorflow as tf

    needed = found[:, : width + lengths[-1] - 1]
    of_each = []
    for length in lengths:
        terms = of_length(needed, length, kind)
        padded = terms.with_flat_values(numbers(terms.flat_values)).to_tensor(0, shape=[None, width])
        of_each.append(padded)
    if len(of_each) == 1:
        return of_each[0]
    by_place = tf.stack(of_each, axis=2)
    flat = tf.reshape(by_place, [-1, width * len(of_each)])
    return tf.ragged.boolean_mask(flat, flat > 0).to_tensor(0, shape=[None, width])
