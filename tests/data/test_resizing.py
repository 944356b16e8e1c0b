"""Resizing: exact weights, flat stays flat, and no row depends on its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from pipeline.data import resizing
from pipeline.data.resizing import crop_box, inner_size, resampling_weights, resize
from tests.data.given import images


def test_resize_to_the_same_size_is_the_identity():
    pixels = images(4)

    assert resize(pixels, 9, 7) is pixels


@given(st.integers(1, 40), st.integers(1, 40))
def test_weights_of_every_target_pixel_add_up_to_one_exactly(source, target):
    weights = resampling_weights(source, target)

    assert (weights.sum(axis=1) == 2**15).all()
    assert (weights >= 0).all()


@given(st.integers(1, 60), st.integers(1, 60))
def test_weights_are_the_triangle_filter_s_in_whole_units(source, target):
    for i, found in enumerate(resampling_weights(source, target).tolist()):
        # The triangle's height over each source pixel, times what makes it whole: the weights are their shares.
        heights = [
            max(0, 2 * max(source, target) - abs((2 * i + 1) * source - (2 * j + 1) * target)) for j in range(source)
        ]
        whole, left = zip(*(divmod(height * 2**15, sum(heights)) for height in heights), strict=True)
        by_remainder = sorted(range(source), key=lambda j: (-left[j], j))
        rounded_up = set(by_remainder[: 2**15 - sum(whole)])
        assert found == [whole[j] + (j in rounded_up) for j in range(source)]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 255))
def test_a_flat_image_stays_flat_at_any_size(height, width, level):
    assert (resize(np.full((2, 9, 7, 3), level, np.uint8), height, width) == level).all()


@pytest.mark.parametrize("size", [(4, 3), (20, 16), (9, 30)])
def test_resize_is_within_a_grey_level_of_pillow(size):
    pixels = images(5)
    pillow = [np.asarray(Image.fromarray(i[..., 0]).resize(size[::-1], Image.Resampling.BILINEAR)) for i in pixels]

    assert np.abs(resize(pixels, *size)[..., 0].astype(int) - np.array(pillow)).max() <= 1


@given(st.permutations(range(8)), st.integers(0, 8))
def test_resize_does_not_depend_on_the_batch(order, cut):
    pixels = images(8, (13, 11, 3))
    whole = resize(pixels, 8, 9)
    parts = [resize(pixels[part], 8, 9) for part in np.split(np.array(order), [cut])]

    assert np.array_equal(np.concatenate(parts), whole[order])


def test_resizing_is_the_weighted_mean_of_rows_and_columns_rounded_half_up():
    pixels = images(3, (13, 11, 3))
    rows, columns = resampling_weights(13, 8) / 2**15, resampling_weights(11, 15) / 2**15
    exact = np.einsum("hi,nijc,wj->nhwc", rows, pixels.astype(float), columns)

    assert np.array_equal(resize(pixels, 8, 15), np.floor(exact + 0.5))


@pytest.mark.parametrize("values", [1, 13 * 5, 13 * 11 * 3, 13 * 11 * 3 * 2, 10**9])
def test_how_many_images_are_resized_at_once_is_no_matter(monkeypatch, values):
    pixels = images(5, (13, 11, 3))
    together = resize(pixels, 20, 15)
    monkeypatch.setattr(resizing, "_BLOCK_VALUES", values)

    assert np.array_equal(resize(pixels, 20, 15), together)


@pytest.mark.parametrize("size", [(9, 8), (8, 7)])
def test_an_image_of_which_one_side_fits_is_resized_along_the_other(size):
    found = resize(images(2), *size)

    assert found.shape == (2, *size, 1)
    assert found.dtype == np.uint8


SIDES = st.integers(1, 40)


@given(SIDES, SIDES, SIDES, SIDES)
@example(24, 18, 30, 22)
def test_what_is_cropped_is_the_largest_centred_rectangle_of_the_target_s_aspect(height, width, tall, wide):
    top, left, cut_height, cut_width = crop_box(height, width, tall, wide)

    assert cut_height == height or cut_width == width
    assert 1 <= cut_height <= height
    assert 1 <= cut_width <= width
    off = abs(cut_height * wide - cut_width * tall)  # 0 where the aspect is the target's
    half_a_pixel = [tall / 2] * (cut_height == height) + [wide / 2] * (cut_width == width)  # of the side that is cut
    assert off <= max(half_a_pixel) or min(cut_height, cut_width) == 1
    assert 0 <= height - cut_height - 2 * top <= 1
    assert 0 <= width - cut_width - 2 * left <= 1
    pixels = images(1, (height, width, 1))
    cut = pixels[:, top : top + cut_height, left : left + cut_width]
    assert np.array_equal(resize(pixels, tall, wide, "crop"), resize(cut, tall, wide))


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([0, 9, 255]))
def test_what_is_padded_is_whole_and_centred_on_the_background(height, width, tall, wide, level):
    inner_height, inner_width = inner_size(height, width, tall, wide)

    assert inner_height == tall or inner_width == wide
    assert 1 <= inner_height <= tall
    assert 1 <= inner_width <= wide
    pixels = images(2, (height, width, 3))
    found = resize(pixels, tall, wide, "pad", level)
    if (height, width) == (tall, wide):
        assert found is pixels
    top, left = (tall - inner_height) // 2, (wide - inner_width) // 2
    inside = np.s_[:, top : top + inner_height, left : left + inner_width]
    assert np.array_equal(found[inside], resize(pixels, inner_height, inner_width))
    around = np.ones(found.shape, np.bool_)
    around[inside] = False
    assert (found[around] == level).all()


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
def test_a_picture_of_the_target_s_aspect_is_resized_alike_by_every_rule(rule):
    pixels = images(1, (20, 30, 3))

    assert np.array_equal(resize(pixels, 8, 12, rule), resize(pixels, 8, 12))
