"""From payloads to pixels: what is declared, or nothing."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.data.decoding import decode_payloads, decode_picture
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
