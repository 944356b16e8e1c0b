"""Where a text stands in a vocabulary, by TensorFlow operations alone: no table that a saved model would have to track.

A text is looked for by its hash among the sorted hashes of the vocabulary, and compared with the one that has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HASHES = 2**62


def places(texts: Any, vocabulary: Sequence[str]) -> Any:
    """Return where each of `[text] string` stands in a vocabulary without equal ones, `[text] int32`; −1: nowhere."""
    import numpy as np
    import tensorflow as tf

    with tf.init_scope():  # while a function is traced, these are computed all the same
        key, hashes = _distinct_hashes(vocabulary)
    order = np.argsort(hashes)
    found = tf.searchsorted(tf.constant(hashes[order]), _hashed(texts, key))
    at = tf.minimum(found, len(vocabulary) - 1)
    is_there = tf.gather(tf.constant(np.array(vocabulary, np.object_)[order]), at) == texts
    return tf.where(is_there, tf.gather(tf.constant(order.astype(np.int32)), at), -1)


def _distinct_hashes(vocabulary: Sequence[str]) -> tuple[int, Any]:
    """Return the first key under which no two texts have one hash, and these: almost always 0."""
    import numpy as np

    key = 0
    while True:
        hashes = _hashed(list(vocabulary), key).numpy()
        if len(np.unique(hashes)) == len(vocabulary):
            return key, hashes
        key += 1


def _hashed(texts: Any, key: int) -> Any:
    """Return 62 bits of SipHash of each text, `[text] int64`."""
    import tensorflow as tf

    return tf.strings.to_hash_bucket_strong(texts, _HASHES, [key, 0])
