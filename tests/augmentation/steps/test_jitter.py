"""Noise of numbers: its deviation, that it changes the scaled number alone, and that each feature has its own."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.augmentation.changing import Originals, change, steps_of
from pipeline.augmentation.counter_random import row_keys, standard_normal, uniform
from pipeline.augmentation.steps import jitter
from pipeline.augmentation.steps.jitter import Settings
from pipeline.data.features import number
from pipeline.data.number_scaling import learned, scaled
from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from tests.ranges import assert_ranges

KEYS = row_keys([f"row {n}" for n in range(20_000)], 1)


def numbers(rows: int, components: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(rows, components)).astype(np.float32)


def spec(name: str) -> FeatureSpec:
    return FeatureSpec(name=name, kind="number", dtype="float32", shape=(3,), settings={}, facts={})


def test_the_noise_has_the_stated_deviation():
    noise = jitter.change(np.zeros((20_000, 1), np.float32), KEYS, Settings(deviation=0.3))

    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.01)


UNITS = {
    "standard": np.std,
    "log": lambda values: np.std(np.log1p(values - values.min())),
    "minmax": np.ptp,
    "robust": lambda values: np.subtract(*np.quantile(values, [0.75, 0.25])),
    "none": lambda _: 1.0,
}


@pytest.mark.parametrize("scale", get_args(number.Settings.model_fields["scale"].annotation))
def test_the_deviation_is_in_the_unit_that_the_scale_makes(scale: str):
    values = np.sort(np.random.default_rng(7).gamma(2.0, 40.0, 20_000)) + 300.0
    settings = number.Settings.model_validate({"scale": scale}).model_dump(mode="json")
    fitted = learned("x", settings, values, np.ones(len(values), np.int64), 0)
    prepared = scaled(settings, fitted, values)
    changed = jitter.change(prepared, KEYS, Settings(deviation=0.5))

    standing = np.log1p(values - values.min()) if scale == "log" else values
    back = changed[:, 0].astype(np.float64) * fitted["spread"] + fitted["centre"]
    assert np.std(back - standing) == pytest.approx(0.5 * UNITS[scale](values), rel=0.02)


def test_it_is_added_to_the_scaled_number_and_not_to_what_stands_beside_it():
    values = numbers(50)
    before = values.copy()
    changed = jitter.change(values, KEYS[:50], Settings(deviation=0.3))

    added = (standard_normal(KEYS[:50], 1, 1)[:, 0] * 0.3).astype(np.float32)
    assert np.array_equal(changed[:, 0], values[:, 0] + added)
    assert np.array_equal(changed[:, 1:], values[:, 1:])
    assert np.array_equal(values, before)
    assert (changed.dtype, changed.shape) == (np.float32, (50, 3))


def test_so_many_numbers_are_changed_as_the_probability_says():
    values = numbers(20_000)
    is_changed = (jitter.change(values, KEYS, Settings(deviation=0.3, probability=0.25)) != values)[:, 0]

    assert is_changed.mean() == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(is_changed, uniform(KEYS, 0, 1)[:, 0] < 0.25)


@pytest.mark.parametrize("nothing", [{"deviation": 0.0}, {"deviation": 1.0, "probability": 0.0}])
def test_no_noise_is_the_very_same_array(nothing):
    values = numbers(5)

    assert jitter.change(values, KEYS[:5], Settings(**nothing)) is values


@given(order=st.permutations(range(9)), cut=st.integers(0, 9))
def test_noise_depends_neither_on_batches_nor_on_the_order_of_rows(order, cut):
    values, how = numbers(9), Settings(deviation=0.5, probability=0.5)
    whole = jitter.change(values, KEYS[:9], how)
    pieces = [jitter.change(values[part], KEYS[part], how) for part in np.split(np.array(order), [cut])]

    assert np.array_equal(np.concatenate(pieces), whole[order])


def test_each_feature_of_a_row_gets_noise_of_its_own_whatever_others_there_are():
    values = numbers(40)
    of = Originals({"a": values, "b": values}, np.zeros(40, np.int32), KEYS[:40])
    steps = steps_of([Choice(name="jitter", settings={"deviation": 0.5})])
    rows, first = np.arange(40), np.ones(40, np.int64)

    both = change(of, rows, first, [spec("a"), spec("b")], steps).columns
    alone = change(of, rows, first, [spec("b")], steps).columns
    others = change(of, rows, first + 1, [spec("b")], steps).columns
    assert (both["a"][:, 0] != both["b"][:, 0]).all()
    assert np.array_equal(both["b"], alone["b"])
    assert (others["b"][:, 0] != alone["b"][:, 0]).all()


def test_it_changes_numbers_by_ten_deviations_at_most():
    assert jitter.KINDS == ("number",)
    assert_ranges(Settings, {"deviation": 1.0}, deviation=(0.0, 10.0, -1e-9, 10.1), probability=(0.0, 1.0, -0.1, 1.1))
    assert Settings(deviation=1.0).probability == 1.0
    with pytest.raises(ValidationError):
        Settings.model_validate({})
