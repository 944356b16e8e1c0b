"""What the first bytes of a picture say is what a decoder says of it, and any bytes are answered."""

from __future__ import annotations

import io
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.data.picture_headers import Header, encoding_of, header_of
from tests.hostile_tree import picture, png_chunk, png_of

MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "YCbCr"),
    "GIF": ("L", "P"),
}
ORIENTED = ("PNG", "JPEG", "WEBP", "TIFF")


@pytest.mark.parametrize(("encoding", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes])
def test_size_and_mode_are_those_that_a_decoder_finds(encoding: str, mode: str) -> None:
    content = picture(0, encoding, mode)
    with Image.open(io.BytesIO(content)) as opened:
        assert header_of(content) == Header(encoding.lower(), opened.height, opened.width, opened.mode)
        assert header_of(content).channels > 0


@pytest.mark.parametrize("encoding", ORIENTED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_after_the_orientation_is_applied(encoding: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    exif[270] = "a description before it"
    content = picture(0, encoding, exif=exif)
    with Image.open(io.BytesIO(content)) as opened:
        turned = ImageOps.exif_transpose(opened)
        assert (header_of(content).width, header_of(content).height) == turned.size


@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}, {"comment": b"x" * 60_000}])
def test_a_jpeg_is_read_whatever_stands_before_its_frame(options: dict[str, object]) -> None:
    assert header_of(picture(0, "JPEG", **options)) == Header("jpeg", 12, 10, "RGB")


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_of_either_kind_is_read(lossless: bool) -> None:
    assert header_of(picture(0, "WEBP", lossless=lossless)) == Header("webp", 12, 10, "RGB")


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"text", bytes(100), b"RIFF\0\0\0\0AVI ", b"GIF"])
def test_what_is_no_picture_is_none(content: bytes) -> None:
    assert header_of(content) is None
    assert encoding_of(content) is None


def test_of_a_header_that_is_cut_off_the_encoding_is_known() -> None:
    for encoding in MODES.keys() - {"GIF"}:
        assert header_of(picture(0, encoding)[:13]) == Header(encoding.lower())
    assert header_of(picture(0, "GIF")[:13]) == Header("gif", 12, 10)  # its size stands first


def test_sides_that_no_column_holds_are_unknown() -> None:
    assert header_of(png_of(2**31, 5)) == header_of(png_of(0, 5)) == Header("png")


def test_a_bomb_is_told_and_not_inflated() -> None:
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    content = png_of(60_000, 50_000, png_chunk(b"iCCP", b"a\0\0" + bomb), png_chunk(b"zTXt", b"a\0\0" + bomb))
    tracemalloc.start()
    assert header_of(content) == Header("png", 50_000, 60_000, "RGB")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2**20


STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"II*\0", b"MM\0*", b"BM")


@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=200))
def test_any_bytes_have_a_header(start: bytes, rest: bytes) -> None:
    header = header_of(start + rest)
    assert header is not None
    assert header.encoding == encoding_of(start)
    assert 0 <= header.height < 2**31
    assert (header.height == 0) == (header.width == 0)


@given(st.sampled_from(sorted(MODES)), st.data())
def test_a_picture_with_changed_bytes_has_a_header(encoding: str, data: st.DataObject) -> None:
    content = bytearray(picture(0, encoding))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(st.integers(0, 255))
    header = header_of(bytes(content))
    assert (None if header is None else header.encoding) == encoding_of(bytes(content))
