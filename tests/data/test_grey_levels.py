"""Means and deviations of grey levels, from exact sums."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.grey_levels import ChannelSums, image_sums
from tests.data.given import images


@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(0, 3))
def test_statistics_are_the_textbook_s_and_do_not_depend_on_how_rows_are_divided(count, channels, cut):
    pixels = images(count, (5, 4, channels))
    one, other = ChannelSums.of(image_sums(pixels[:cut])), ChannelSums.of(image_sums(pixels[cut:]))

    mean, std = (one + other).statistics()

    assert (mean, std) == ChannelSums.of(image_sums(pixels)).statistics()
    for channel in range(channels):
        values = pixels[..., channel].ravel().tolist()
        assert mean[channel] == pytest.approx(statistics.fmean(values), rel=1e-12)
        assert std[channel] == pytest.approx(statistics.pstdev(values), rel=1e-12)


def test_mean_and_deviation_of_each_image():
    pixels = images(6, (5, 4, 3))
    pixels[0] = 77

    mean, std = image_sums(pixels).mean_and_std()

    flat = pixels.reshape(6, -1).astype(float)
    assert mean == pytest.approx(flat.mean(axis=1), rel=1e-6)
    assert std == pytest.approx(flat.std(axis=1), rel=1e-6)
    assert std[0] == 0
    assert mean.dtype == std.dtype == np.float32


def test_large_images_do_not_overflow():
    white = np.full((1, 300, 300, 1), 255, np.uint8)

    mean, std = image_sums(white).mean_and_std()

    assert (mean[0], std[0]) == (255, 0)


@pytest.mark.parametrize("height", [33024, 33025, 33026])
def test_white_columns_around_the_highest_that_is_added_up_in_32_bits_are_white(height):
    mean, std = image_sums(np.full((2, height, 1, 1), 255, np.uint8)).mean_and_std()

    assert mean.tolist() == [255, 255]
    assert std.tolist() == [0, 0]


def test_images_that_are_added_up_in_several_blocks_have_the_sums_of_each():
    pixels = np.concatenate([np.full((200, 64, 64, 1), level, np.uint8) for level in (1, 2, 3)])

    sums = image_sums(pixels)

    assert sums.total[:, 0].tolist() == [4096 * level for level in (1, 2, 3) for _ in range(200)]
    assert sums.squares[:, 0].tolist() == [4096 * level**2 for level in (1, 2, 3) for _ in range(200)]


def test_sums_of_images_are_counted_by_channel():
    pixels = images(6, (5, 4, 3))
    sums = image_sums(pixels)
    found = ChannelSums.of(sums) + ChannelSums.of(image_sums(pixels[:2]))

    wide = np.concatenate([pixels, pixels[:2]]).astype(int)
    assert sums.pixels == 20
    assert (found.images, found.pixels) == (8, 160)
    assert found.total == tuple(wide.sum(axis=(0, 1, 2)).tolist())
    assert found.squares == tuple((wide**2).sum(axis=(0, 1, 2)).tolist())
    assert all(type(total) is int for total in found.total)
