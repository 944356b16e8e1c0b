"""Numbers of texts inside the served model: looked up without a table, which an export would have to carry and start.

Each text has a hash (SipHash: Aumasson & Bernstein, 2012), the words' hashes stand in the graph in rising order, and
the word that is found by bisection is compared letter by letter: so an answer is never wrong. Words with the same hash
get others of another key when the graph is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_BUCKETS = 2**63 - 1
_KEYS = 100  # one is enough but once in many millions


def looked_up(texts: Any, numbers: Mapping[str, int], otherwise: int) -> Any:
    """Return the number of each text, `[…] int32`: `otherwise`, where it is none of the words."""
    import tensorflow as tf

    words = list(numbers)
    if not words:
        return tf.fill(tf.shape(texts), tf.constant(otherwise, tf.int32))
    with tf.init_scope():  # while a graph is made too, the words' hashes are needed now
        key, hashes = _told_apart(tf.constant(words))
    order = np.argsort(hashes)
    rising = tf.constant(hashes[order], tf.int64)
    flat = tf.reshape(texts, [-1])
    places = tf.searchsorted(rising, tf.strings.to_hash_bucket_strong(flat, _BUCKETS, key))
    places = tf.minimum(places, len(words) - 1)
    is_word = tf.gather(tf.constant([words[place] for place in order]), places) == flat
    found = tf.gather(tf.constant([numbers[words[place]] for place in order], tf.int32), places)
    return tf.reshape(tf.where(is_word, found, otherwise), tf.shape(texts))


def _told_apart(words: Any) -> tuple[list[int], Any]:
    """Return a key with which no two words have the same hash, and their hashes, `[word] int64`."""
    import tensorflow as tf

    for number in range(_KEYS):
        key = [number, 0]
        hashes = tf.strings.to_hash_bucket_strong(words, _BUCKETS, key).numpy()
        if len(np.unique(hashes)) == len(hashes):
            return key, hashes
    raise ValueError("words are not told apart by their hashes; are some of them equal?")
