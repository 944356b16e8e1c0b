"""Rows made of test rows, as users send them and test rows never are."""

from __future__ import annotations

import numpy as np

from pipeline.export.forms import Inputs
from pipeline.export.probes import probes

IMAGES: Inputs = {"image": ((None, None, 1), "uint8")}


def test_images_of_any_size_come_smaller_and_larger_each_side_by_another_share() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1)).astype(np.uint8)
    found = probes({"image": images}, IMAGES)
    assert {name: columns["image"].shape for name, columns in found.items()} == {
        "smaller": (16, 18, 22, 1),
        "larger": (16, 56, 83, 1),
    }
    assert all(columns["image"].dtype == np.uint8 for columns in found.values())


def test_images_of_one_pixel_stay_images() -> None:
    found = probes({"image": np.zeros((3, 1, 1, 1), np.uint8)}, IMAGES)
    assert all(columns["image"].size for columns in found.values())


def test_each_number_is_missing_or_far_outside_in_rows_where_the_others_stay() -> None:
    rows = {"fare": np.arange(5.0), "age": np.arange(5.0)}
    changed = probes(rows, {"fare": ((), "float64"), "age": ((), "float64")})["missing"]
    stay = np.arange(12) % 5
    np.testing.assert_array_equal(changed["fare"][::3], [np.nan, 0.0, -1e6, 1e6])
    np.testing.assert_array_equal(changed["age"][::3], stay[::3])
    np.testing.assert_array_equal(changed["age"][1::3], [np.nan, 0.0, -1e6, 1e6])
    np.testing.assert_array_equal(changed["fare"][1::3], stay[1::3])
    np.testing.assert_array_equal(rows["fare"], np.arange(5.0))  # what was given is not changed


def test_texts_come_empty_blank_long_and_in_other_scripts() -> None:
    texts = np.array(["word"] * 12, np.object_)
    changed = probes({"body": texts}, {"body": ((), "string")})["foreign"]["body"].tolist()
    assert {"", " ", "word"} <= set(changed)
    assert max(map(len, changed)) == 300


def test_what_has_one_form_alone_has_no_probes() -> None:
    assert probes({"image": np.zeros((3, 4, 4, 1), np.uint8)}, {"image": ((4, 4, 1), "uint8")}) == {}
