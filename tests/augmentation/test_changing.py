"""Augmentation: the steps in their order, each with random numbers of its own; only seed, id, copy and step decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation.changing import Copies, Originals, change, mixes_rows, steps_of
from pipeline.augmentation.counter_random import copy_keys, row_keys, stream_keys
from pipeline.data.feature_kinds import specs
from pipeline.recipe.slots import Choice
from tests.data.given import image_feature, image_specs, images

FEATURES = image_specs((9, 7, 1), (9, 8))
WARP = Choice(name="warp", settings={"flip": 0.5, "shift": 0.1, "rotate_deg": 20.0, "scale": 0.2})
NOISE = Choice(name="noise", settings={"levels": 5.0})
ERASE = Choice(name="erase", settings={"probability": 0.5})
OVERLAY = Choice(name="overlay", settings={"mixup": 0.4, "cutmix": 0.4})
EVERYTHING = (WARP, NOISE, ERASE)
NOTHING = (
    Choice(name="warp"),
    Choice(name="noise", settings={"levels": 0.0}),
    Choice(name="erase", settings={"probability": 0.0}),
)


def originals(count: int, shape: tuple[int, int, int] = (9, 7, 1), seed: int = 1) -> Originals:
    names = [f"row {number}" for number in range(count)]
    return Originals({"image": images(count, shape)}, np.arange(count, dtype=np.int32) % 3, row_keys(names, seed))


def copied(of: Originals, *steps: Choice, rows: Any = None, copy: Any = 1) -> Copies:
    rows = np.arange(len(of)) if rows is None else np.asarray(rows, np.int64)
    copies = np.broadcast_to(np.asarray(copy), rows.shape)
    return change(of, rows, copies, FEATURES, steps_of(steps or EVERYTHING))


def changed(of: Originals, *steps: Choice, rows: Any = None, copy: Any = 1) -> np.ndarray:
    return copied(of, *steps, rows=rows, copy=copy).columns["image"]


def test_steps_without_effect_leave_all_values_as_they_are():
    given_rows = originals(50)

    assert np.array_equal(changed(given_rows, *NOTHING), given_rows.columns["image"])


def test_the_input_is_left_alone():
    of = originals(20)
    before = of.columns["image"].copy()
    changed(of, *EVERYTHING, OVERLAY)

    assert np.array_equal(of.columns["image"], before)


@given(st.permutations(range(12)), st.lists(st.integers(0, 12), max_size=4), st.integers(0, 3))
def test_a_copy_does_not_depend_on_batches_nor_on_the_order_of_rows(order, cuts, copy):
    of, steps = originals(12), (*EVERYTHING, OVERLAY)
    whole = copied(of, *steps, copy=copy)

    batches = np.split(np.array(order), sorted(cuts))
    in_batches = [copied(of, *steps, rows=batch, copy=copy) for batch in batches]

    pixels = np.concatenate([each.columns["image"] for each in in_batches])
    assert np.array_equal(pixels, whole.columns["image"][order])
    for name in ("labels", "other_labels", "shares"):
        joined = np.concatenate([getattr(each, name) for each in in_batches])
        assert np.array_equal(joined, getattr(whole, name)[order])


def test_blocks_of_the_warp_and_the_noise_do_not_show():
    many = originals(300, (28, 28, 1))  # several blocks of either

    assert np.array_equal(changed(many)[250:251], changed(many, rows=[250]))


def test_seed_and_copy_and_id_each_change_the_result():
    pixels = {"image": np.repeat(images(1), 2, axis=0)}
    of, other = (replace(originals(2, seed=seed), columns=pixels) for seed in (1, 2))
    first = changed(of)

    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, changed(of, copy=2))
    assert not np.array_equal(first, changed(other))


def test_each_row_has_its_own_copy_s_number():
    of = originals(9)
    numbers = np.array([1, 2, 3] * 3)
    together = changed(of, *EVERYTHING, OVERLAY, copy=numbers)

    for number in (1, 2, 3):
        alone = changed(of, *EVERYTHING, OVERLAY, copy=number)
        assert np.array_equal(together[numbers == number], alone[numbers == number])


def streams(*names: str) -> list[str]:
    settings = {choice.name: choice.settings for choice in EVERYTHING}
    return [step.stream for step in steps_of([Choice(name=name, settings=settings[name]) for name in names])]


def test_a_step_keeps_its_random_numbers_whatever_other_steps_there_are():
    assert streams("erase")[0] == streams("warp", "noise", "erase")[2] == streams("erase", "warp")[0]


def test_a_step_that_comes_twice_draws_anew():
    assert streams("noise", "noise", "warp", "noise") == ["noise 0", "noise 1", "warp 0", "noise 2"]


def test_steps_are_taken_in_their_order():
    of = originals(30)

    assert not np.array_equal(changed(of, WARP, NOISE), changed(of, NOISE, WARP))


def test_the_features_of_a_row_are_changed_together():
    pair = specs({"left": image_feature((9, 8, 1), (9, 8)), "right": image_feature((9, 8, 1), (9, 8))})
    of = originals(30)
    twice = replace(of, columns={"left": of.columns["image"], "right": of.columns["image"]})

    both = change(twice, np.arange(30), np.ones(30, np.int64), pair, steps_of((*EVERYTHING, OVERLAY))).columns

    assert np.array_equal(both["left"], both["right"])


def test_features_of_other_kinds_are_left_alone():
    spec = FEATURES[0].changed(name="other", kind="number", shape=(), dtype="float32")
    of = originals(5)
    of = replace(of, columns={**of.columns, "other": np.arange(5, dtype=np.float32)})

    made = change(of, np.arange(5), np.ones(5, np.int64), (*FEATURES, spec), steps_of(EVERYTHING))
    assert made.columns["other"].tolist() == [0, 1, 2, 3, 4]


def test_steps_that_lay_nothing_over_a_row_leave_it_its_one_label():
    of = originals(30)
    made = copied(of, *EVERYTHING)

    assert not mixes_rows(steps_of(EVERYTHING))
    assert np.array_equal(made.labels, of.labels)
    assert np.array_equal(made.other_labels, of.labels)
    assert (made.shares == 1).all()


def test_a_row_is_laid_over_as_its_own_copy_of_the_same_number_was_before_that_step():
    of = originals(40)
    blend = Choice(name="overlay", settings={"mixup": 1.0, "mixup_alpha": 50.0})
    before = changed(of, WARP, copy=3).astype(int)
    [_, step] = steps = steps_of([WARP, blend])
    partners = step.partners(stream_keys(copy_keys(of.keys, 3), step.stream), step.settings, 40)
    made = copied(of, WARP, blend, copy=3)

    share = (made.shares * 256).astype(int)[:, None, None, None]
    assert mixes_rows(steps)
    assert np.array_equal(made.columns["image"], (before * share + before[partners] * (256 - share) + 128) >> 8)
    assert np.array_equal(made.labels, of.labels)
    assert np.array_equal(made.other_labels, of.labels[partners])


def test_rows_without_a_partner_are_left_alone_and_later_steps_change_what_was_laid_over():
    of = originals(200)
    half = Choice(name="overlay", settings={"cutmix": 0.5})
    made, noisy = copied(of, half), copied(of, half, NOISE)
    is_alone = made.shares == 1

    assert 60 < is_alone.sum() < 140
    assert np.array_equal(made.columns["image"][is_alone], of.columns["image"][is_alone])
    assert np.array_equal(made.shares, noisy.shares)
    difference = np.abs(noisy.columns["image"].astype(int) - made.columns["image"])
    assert 1 < difference.mean() < 8  # noise of 5 levels, on top
