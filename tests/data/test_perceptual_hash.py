"""The hashes are ImageHash's; what a picture is changed to by scaling, recoding and brightening stays like it."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pipeline.data.perceptual_hash import SHIFTS, likeness, perceptual_hashes, thumbnails

SIDES = st.integers(8, 70)
NUMBERS = st.integers(0, 2**32 - 1)


def pictures(seed: int, count: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), np.uint8)


@given(seed=NUMBERS, height=SIDES, width=SIDES, channels=st.sampled_from([1, 3]))
def test_the_hash_is_that_of_imagehash(seed: int, height: int, width: int, channels: int) -> None:
    pixels = pictures(seed, 3, height, width, channels)
    found = perceptual_hashes(thumbnails(pixels)).tolist()
    given_as = [Image.fromarray(each[..., 0] if channels == 1 else each) for each in pixels]
    assert [f"{each:016x}" for each in found] == [str(imagehash.phash(each)) for each in given_as]


@given(seed=NUMBERS, cut=st.integers(0, 9))
def test_a_hash_is_of_its_picture_alone(seed: int, cut: int) -> None:
    small = thumbnails(pictures(seed, 9, 12, 12, 1))
    pieces = [perceptual_hashes(small[:cut]), perceptual_hashes(small[cut:])]
    assert np.concatenate(pieces).tolist() == perceptual_hashes(small).tolist()


def test_a_flat_picture_has_the_same_hash_whatever_its_grey() -> None:
    flat = np.full((3, 20, 20, 1), 0, np.uint8) + np.array([1, 100, 255], np.uint8)[:, None, None, None]
    assert len(set(perceptual_hashes(thumbnails(flat)).tolist())) == 1


small_pictures = arrays(np.uint8, (2, 32, 32))


@given(one=small_pictures, other=small_pictures)
def test_likeness_is_the_correlation_of_grey_levels(one: np.ndarray, other: np.ndarray) -> None:
    for first, second, found in zip(one, other, likeness(one, other).tolist(), strict=True):
        if min(first.std(), second.std()) < 4:
            assert found == 0
        else:
            assert found == pytest.approx(max(0, np.corrcoef(first.ravel(), second.ravel())[0, 1]), abs=1e-9)


@given(one=small_pictures, other=small_pictures)
def test_likeness_is_the_same_the_other_way_round_and_never_beyond_1(one: np.ndarray, other: np.ndarray) -> None:
    found = likeness(one, other)
    assert found.tolist() == likeness(other, one).tolist()
    assert (found >= 0).all()
    assert (found <= 1 + 1e-12).all()


@pytest.mark.parametrize(("levels", "expected"), [(7, 0.0), (9, 1.0)])
def test_what_is_almost_flat_is_like_nothing_not_even_itself(levels: int, expected: float) -> None:
    halves = np.zeros((1, 32, 32), np.uint8)
    halves[:, :16] = levels  # a standard deviation of half the levels
    assert likeness(halves, halves).tolist() == [expected]


def test_a_brighter_picture_of_less_contrast_is_as_alike_as_the_same() -> None:
    small = thumbnails(pictures(3, 4, 32, 32, 1)) // 4 * 2
    assert likeness(small, small // 2 + 90).tolist() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize(("side", "pixels"), [(8, 1), (28, 1), (32, 1), (33, 2), (96, 3)])
def test_a_picture_is_shifted_by_a_32nd_of_its_side_rounded_up_with_its_edges_repeated(side: int, pixels: int) -> None:
    made = pictures(1, 2, side, 40, 3)
    down = np.concatenate([*[made[:, :1]] * pixels, made[:, :-pixels]], axis=1)
    assert (thumbnails(made, (1, 0)) == thumbnails(down)).all()
    up = np.concatenate([made[:, pixels:], *[made[:, -1:]] * pixels], axis=1)
    assert (thumbnails(made, (-1, 0)) == thumbnails(up)).all()
    assert (thumbnails(made, (0, -1)) == thumbnails(_left(made))).all()
    assert (thumbnails(made, (1, -1)) == thumbnails(_left(down))).all()


def _left(made: np.ndarray) -> np.ndarray:
    return np.concatenate([made[:, :, 2:], *[made[:, :, -1:]] * 2], axis=2)


def test_pictures_are_compared_as_they_are_and_shifted_each_way() -> None:
    assert SHIFTS[0] == (0, 0)
    assert sorted(SHIFTS) == [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
