"""From payloads to pixels: what is declared, or nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.decoding import decode_payloads, decode_picture, shape_digest
from pipeline.errors import Bug
from tests.data.given import images, picture


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
    encodings = pa.chunked_array([["raw", "png", "raw"]])
    payloads = [pixels[0].tobytes(), picture(pixels[1], "png"), pixels[2].tobytes()]
    column = pa.chunked_array([pa.array(payloads, pa.binary())])

    assert np.array_equal(decode_payloads(column, encodings, (9, 7, 1)), pixels)
    with pytest.raises(Bug, match="is not 64 bytes long"):
        decode_payloads(column.slice(0, 1), encodings.slice(0, 1), (8, 8, 1))


@pytest.mark.parametrize("shape", [(3, 2, 1), (6, 1, 1), (1, 2, 3)])
def test_the_same_bytes_in_another_shape_are_another_image(shape):
    assert shape_digest(*shape, bytes(6)) != shape_digest(2, 3, 1, bytes(6))
