"""Terms become unknown, each by itself; padding stays."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.augmentation.counter_random import row_keys
from pipeline.augmentation.steps import word_dropout
from pipeline.augmentation.steps.word_dropout import Settings, change
from tests.ranges import assert_ranges

KEYS = row_keys([f"row {n}" for n in range(400)], 1)
TEXTS = np.tile(np.array([*range(2, 32), *[0] * 10], np.int32), (400, 1))


def test_so_many_terms_become_unknown_and_the_others_and_padding_stay():
    changed = change(TEXTS, KEYS, Settings(probability=0.2))

    assert changed.dtype == np.int32
    assert set(np.unique(changed[changed != TEXTS])) == {1}
    assert (changed[:, 30:] == 0).all()
    share = (changed != TEXTS)[:, :30]
    assert share.mean() == pytest.approx(0.2, abs=0.01)
    assert np.abs(np.corrcoef(share.T) - np.eye(30)).max() < 0.25  # no place says anything of another


def test_all_become_unknown_with_probability_1_and_the_text_that_was_given_stays():
    before = TEXTS.copy()
    assert change(TEXTS, KEYS, Settings(probability=1.0)).tolist() == [[1] * 30 + [0] * 10] * 400
    assert np.array_equal(TEXTS, before)


def test_nothing_to_drop_is_the_very_same_array():
    assert change(TEXTS, KEYS, Settings(probability=0.0)) is TEXTS


def test_the_settings_and_their_ranges():
    assert word_dropout.KINDS == ("text",)
    assert_ranges(Settings, {}, probability=(0.0, 1.0, -1e-9, 1.001))
