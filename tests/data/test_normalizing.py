"""Decoding, resizing and statistics."""

from __future__ import annotations

import io
import statistics

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.data.decoding import decode_payloads, decode_picture
from pipeline.data.grey_levels import ChannelSums, image_sums
from pipeline.data.resizing import resampling_weights, resize
from pipeline.errors import Bug


def picture(pixels: np.ndarray, encoding: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, encoding.upper())
    return content.getvalue()


def images(count: int, shape: tuple[int, int, int] = (9, 7, 1)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_comes_back_exactly_and_jpeg_nearly(channels):
    smooth = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None] * 5, (32, 32, channels))
    png, jpeg = (decode_picture(picture(smooth, kind), kind, (32, 32, channels)) for kind in ("png", "jpeg"))

    assert np.array_equal(png, smooth)
    assert np.abs(jpeg.astype(int) - smooth).max() < 12


def test_a_picture_that_is_not_what_it_is_declared_to_be_is_not_decoded():
    png = picture(images(1)[0], "png")

    assert decode_picture(png, "png", (9, 7, 1)) is not None
    assert decode_picture(png, "png", (7, 9, 1)) is None
    assert decode_picture(png, "png", (9, 7, 3)) is None
    assert decode_picture(png, "jpeg", (9, 7, 1)) is None
    assert decode_picture(png[:-20], "png", (9, 7, 1)) is None
    assert decode_picture(b"", "png", (9, 7, 1)) is None


@given(st.integers(0, 200), st.binary(max_size=8), st.sampled_from(["png", "jpeg"]))
def test_damaged_pictures_decode_to_the_declared_shape_or_not_at_all(position, patch, encoding):
    content = bytearray(picture(images(1, (16, 16, 3))[0], encoding))
    content[position : position + len(patch)] = patch

    pixels = decode_picture(bytes(content), encoding, (16, 16, 3))

    assert pixels is None or (pixels.shape == (16, 16, 3) and pixels.dtype == np.uint8)


def test_rows_of_mixed_encodings_are_decoded_in_order():
    pixels = images(3)
    table = pa.table(
        {
            "encoding": ["raw", "png", "raw"],
            "payload": pa.array([pixels[0].tobytes(), picture(pixels[1], "png"), pixels[2].tobytes()], pa.binary()),
        }
    )

    assert np.array_equal(decode_payloads(table, (9, 7, 1)), pixels)
    with pytest.raises(Bug, match="is not 64 bytes long"):
        decode_payloads(table.slice(0, 1), (8, 8, 1))


def test_resize_to_the_same_size_is_the_identity():
    pixels = images(4)

    assert resize(pixels, 9, 7) is pixels


@given(st.integers(1, 40), st.integers(1, 40))
def test_weights_of_every_target_pixel_add_up_to_one_exactly(source, target):
    weights = resampling_weights(source, target)

    assert (weights.sum(axis=1) == 1).all()
    assert (weights >= 0).all()


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


@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(0, 3))
def test_statistics_are_the_textbook_s_and_do_not_depend_on_how_rows_are_divided(count, channels, cut):
    pixels = images(count, (5, 4, channels))
    one, other = ChannelSums.of(image_sums(pixels[:cut])), ChannelSums.of(image_sums(pixels[cut:]))

    found = (one + other).statistics()

    assert found == ChannelSums.of(image_sums(pixels)).statistics()
    assert found["rows"] == count
    for channel in range(channels):
        values = pixels[..., channel].ravel().tolist()
        assert found["mean"][channel] == pytest.approx(statistics.fmean(values), rel=1e-12)
        assert found["std"][channel] == pytest.approx(statistics.pstdev(values), rel=1e-12)


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
