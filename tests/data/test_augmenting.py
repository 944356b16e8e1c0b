"""Augmentation: the steps in their order, each with random numbers of its own; only seed, id, copy and step decide."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.augmenting import change, steps_of
from pipeline.data.counter_random import copy_keys, row_keys
from pipeline.data.feature_kinds import specs
from pipeline.recipe.slots import Choice
from tests.data.given import image_feature, image_specs, images

FEATURES = image_specs((9, 8, 1), (9, 8))
WARP = Choice(name="warp", settings={"flip": 0.5, "shift": 0.1, "rotate_deg": 20.0, "scale": 0.2})
NOISE = Choice(name="noise", settings={"levels": 5.0})
ERASE = Choice(name="erase", settings={"probability": 0.5})
EVERYTHING = (WARP, NOISE, ERASE)
NOTHING = (
    Choice(name="warp"),
    Choice(name="noise", settings={"levels": 0.0}),
    Choice(name="erase", settings={"probability": 0.0}),
)


def keys(count: int, seed: int = 1, copy: int = 1) -> np.ndarray:
    return copy_keys(row_keys([f"row {n}" for n in range(count)], seed), copy)


def changed(pixels: np.ndarray, of_rows: np.ndarray, *steps: Choice) -> np.ndarray:
    return change({"image": pixels}, FEATURES, of_rows, steps_of(steps or EVERYTHING))["image"]


def test_steps_without_effect_hand_the_very_values_through():
    pixels = images(50)

    assert changed(pixels, keys(50), *NOTHING) is pixels


def test_the_input_is_left_alone():
    pixels = images(20)
    before = pixels.copy()
    changed(pixels, keys(20))

    assert np.array_equal(pixels, before)


@given(st.permutations(range(12)), st.lists(st.integers(0, 12), max_size=4), st.integers(0, 3))
def test_a_copy_does_not_depend_on_batches_nor_on_the_order_of_rows(order, cuts, copy):
    pixels, all_keys = images(12), keys(12, copy=copy)
    whole = changed(pixels, all_keys)

    batches = np.split(np.array(order), sorted(cuts))
    in_batches = [changed(pixels[batch], all_keys[batch]) for batch in batches]

    assert np.array_equal(np.concatenate(in_batches), whole[order])


def test_blocks_of_the_warp_and_the_noise_do_not_show():
    many = images(300, (28, 28, 1))  # several blocks of either
    whole = changed(many, keys(300))

    assert np.array_equal(whole[250:251], changed(many[250:251], keys(300)[250:251]))


def test_seed_and_copy_and_id_each_change_the_result():
    pixels = np.repeat(images(1), 2, axis=0)
    first = changed(pixels, keys(2))

    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, changed(pixels, keys(2, copy=2)))
    assert not np.array_equal(first, changed(pixels, keys(2, seed=2)))


def streams(*names: str) -> list[str]:
    settings = {choice.name: choice.settings for choice in EVERYTHING}
    return [step.stream for step in steps_of([Choice(name=name, settings=settings[name]) for name in names])]


def test_a_step_keeps_its_random_numbers_whatever_other_steps_there_are():
    assert streams("erase")[0] == streams("warp", "noise", "erase")[2] == streams("erase", "warp")[0]


def test_a_step_that_comes_twice_draws_anew():
    assert len(set(streams("noise", "noise", "warp", "noise"))) == 4


def test_steps_are_taken_in_their_order():
    pixels = images(30)

    assert not np.array_equal(changed(pixels, keys(30), WARP, NOISE), changed(pixels, keys(30), NOISE, WARP))


def test_the_features_of_a_row_are_changed_together():
    pair = specs({"left": image_feature((9, 8, 1), (9, 8)), "right": image_feature((9, 8, 1), (9, 8))})
    pixels = images(30)

    both = change({"left": pixels, "right": pixels}, pair, keys(30), steps_of(EVERYTHING))

    assert np.array_equal(both["left"], both["right"])


def test_features_of_other_kinds_are_left_alone():
    spec = FEATURES[0].changed(name="other", kind="number", shape=(), dtype="float32")
    values = {"image": images(5), "other": np.ones(5, np.float32)}

    assert change(values, (*FEATURES, spec), keys(5), steps_of(EVERYTHING))["other"] is values["other"]
