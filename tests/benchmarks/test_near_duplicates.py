"""The two searches that the benchmark of near-duplicates compares find the same, and its hashes are ImageHash's."""

from __future__ import annotations

import numpy as np

from benchmarks.near_duplicates import HASHED, by_every_pair, by_index, hash_speeds, pictures
from pipeline.data.perceptual_hash import perceptual_hashes, thumbnails


def test_both_searches_find_as_many_pairs_of_the_pictures_that_it_makes() -> None:
    hashes = perceptual_hashes(thumbnails(pictures(700)))
    earlier, asked = hashes[:600], [hashes[600:], hashes[590:610]]
    found = by_every_pair(earlier, asked, bits=6)
    assert found == by_index(earlier, asked, bits=6)
    assert found >= 10  # the ten rows of the second that are of the first list, too


def test_hashes_that_are_not_those_of_imagehash_would_end_it() -> None:
    made = np.repeat(pictures(3), 2, axis=0)
    assert len(made) < HASHED
    assert set(hash_speeds(made, 0)) == {"ours", "theirs"}
