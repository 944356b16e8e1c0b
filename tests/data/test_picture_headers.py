"""What the first bytes of a picture say is what a decoder says of it, and any bytes are answered."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.data.picture_headers import ENDINGS, Header, encoding_of, header_of
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


def test_a_mode_that_nobody_knows_has_no_channels() -> None:
    assert Header("png").channels == Header("png", 1, 1, "HSV").channels == 0


@pytest.mark.parametrize(
    "content",
    [b"RIFF\0\0\0\0WEBQ", b"RIFG\0\0\0\0WEBP", b"", b"\x89PNG", b"text", bytes(100), b"RIFF\0\0\0\0AVI ", b"GIF"],
)
def test_what_is_no_picture_is_none(content: bytes) -> None:
    assert header_of(content) is None
    assert encoding_of(content) is None


def test_every_ending_of_a_known_encoding_is_one_of_a_picture() -> None:
    of_pillow = {ending for ending, kind in Image.registered_extensions().items() if kind in {*MODES, "DIB"}}
    assert {*ENDINGS} == of_pillow - {".apng"}


@pytest.mark.parametrize(
    ("bits", "colour"),
    [(bits, 0) for bits in (1, 2, 4, 8, 16)] + [(bits, 3) for bits in (1, 2, 4, 8)] + [(8, 2), (8, 4), (8, 6)]
    + [(16, 2), (16, 4), (16, 6)],
)  # fmt: skip
def test_a_png_of_any_depth_has_the_mode_that_a_decoder_finds(bits: int, colour: int) -> None:
    head = struct.pack(">IIBBBBB", 7, 5, bits, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    with Image.open(io.BytesIO(content)) as opened:
        mode = "LA" if colour == 4 else opened.mode  # Pillow makes RGBA of it, at 16 bits
    found = header_of(content)
    assert found == Header("png", 5, 7, mode)
    assert found.channels == (3 if mode == "P" else Image.new(mode, (1, 1)).im.bands)


BASELINE = picture(0, "JPEG")
FRAME = BASELINE.index(b"\xff\xc0")


@pytest.mark.parametrize("marker", range(0xC0, 0xD0))
def test_every_kind_of_frame_of_a_jpeg_says_its_size(marker: int) -> None:
    content = BASELINE[:FRAME] + bytes([0xFF, marker]) + BASELINE[FRAME + 2 :]
    is_frame = marker not in (0xC4, 0xC8, 0xCC)  # tables, an extension, and conditions of arithmetic coding
    assert header_of(content) == (Header("jpeg", 12, 10, "RGB") if is_frame else Header("jpeg"))


@pytest.mark.parametrize(
    ("before", "found"),
    [
        *((bytes([0xFF, marker]), Header("jpeg", 12, 10, "RGB")) for marker in (0x01, *range(0xD0, 0xD8), 0x00, 0xFF)),
        (b"\xff\xe5\0\x04\xff\xd9", Header("jpeg", 12, 10, "RGB")),  # an end within a segment is none
        (b"\xff\xe5\0\0", Header("jpeg", 12, 10, "RGB")),
        (b"\xff\xd9", Header("jpeg")),
        (b"\xff\xda\0\x02", Header("jpeg")),
    ],
)
def test_what_stands_before_the_frame_of_a_jpeg_is_passed_over(before: bytes, found: Header) -> None:
    assert header_of(BASELINE[:2] + before + BASELINE[2:]) == found


def test_a_jpeg_of_twelve_bits_or_of_two_components_has_no_mode() -> None:
    for place, value in ((4, 12), (9, 2)):
        content = bytearray(BASELINE)
        content[FRAME + place] = value
        assert header_of(bytes(content)) == Header("jpeg", 12, 10)


def exif(order: str, *entries: tuple[int, int, int]) -> bytes:
    """Return EXIF data with entries of tag, type and value."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0) for tag, kind, value in entries)
    return head + struct.pack(f"{order}IH", 8, len(entries)) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("entries", "is_turned"),
    [
        ([(274, 3, 6)], True),
        ([(270, 3, 1), (274, 3, 8)], True),
        ([(274, 3, 5), (274, 3, 1)], True),  # the first
        ([(274, 3, 0), (274, 3, 6)], False),
        ([(274, 3, 9)], False),
        ([(274, 4, 6)], False),
        ([(275, 3, 6)], False),
        ([(274, 3, 1)], False),
        ([], False),
    ],
)
def test_an_orientation_is_a_short_of_1_to_8_in_either_order(
    order: str, entries: list[tuple[int, int, int]], is_turned: bool
) -> None:
    placed = exif(order, *entries)
    of_jpeg = b"\xff\xe1" + struct.pack(">H", len(placed) + 8) + b"Exif\0\0" + placed
    png = png_of(10, 12, png_chunk(b"tEXt", b"a\0b"), png_chunk(b"eXIf", placed))
    for found in (header_of(BASELINE[:2] + of_jpeg + BASELINE[2:]), header_of(png)):
        assert found is not None
        assert (found.width, found.height) == ((12, 10) if is_turned else (10, 12))
    for cut in range(8, len(placed)):  # what is cut off turns nothing, or what stands before it does
        assert header_of(png_of(10, 12, png_chunk(b"eXIf", placed[:cut]))) is not None


def test_a_gif_is_grey_if_its_palette_is_and_has_no_mode_without_one() -> None:
    grey, colours = picture(0, "GIF", "L"), picture(0, "GIF", "P")
    head = grey[:10]
    for bits in (0, 1, 7):
        levels = bytes(level for level in range(2 << bits) for _ in range(3))
        content = head + bytes([0x80 | bits, 0, 0]) + levels
        assert header_of(content) == Header("gif", 12, 10, "L")
        assert header_of(content[:-1] + bytes([content[-1] ^ 1])) == Header("gif", 12, 10, "P")
        assert header_of(content[:-1]) == Header("gif", 12, 10)
    assert header_of(head + bytes([0x07, 0, 0]) + bytes(800)) == Header("gif", 12, 10)
    assert header_of(head + bytes([0x80, 0, 0]) + bytes([0, 0, 0, 1, 1, 1, 9])) == Header("gif", 12, 10, "L")
    assert header_of(colours).channels == 3


@pytest.mark.parametrize(
    ("chunk", "found"),
    [
        (b"VP8X" + bytes([10, 0, 0, 0, 0x10, 0, 0, 0]) + b"\x09\1\0\x0b\0\1", Header("webp", 65548, 266, "RGBA")),
        (b"VP8X" + bytes([10, 0, 0, 0, 0x00, 0, 0, 0]) + b"\x09\1\0\x0b\0\1", Header("webp", 65548, 266, "RGB")),
        (b"VP8X" + bytes([10, 0, 0, 0, 0x00, 0, 0, 0]) + b"\x09\1\0\x0b\0", Header("webp")),
        (b"VP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 1 << 28 | 300 << 14 | 500), Header("webp", 301, 501, "RGBA")),
        (b"VP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 16383 << 14 | 16383), Header("webp", 16384, 16384, "RGB")),
        (b"VP8L" + bytes(4) + b"\x2e" + struct.pack("<I", 300 << 14 | 500), Header("webp")),
        (b"VP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 0xC005, 0xFFFF), Header("webp", 16383, 5, "RGB")),
        (b"VP8 " + bytes(7) + b"\x9d\x01\x2b" + struct.pack("<HH", 5, 6), Header("webp")),
        (b"VP8Y" + bytes(30), Header("webp")),
    ],
)
def test_a_webp_of_each_kind_says_its_size(chunk: bytes, found: Header) -> None:
    assert header_of(b"RIFF\0\0\0\0WEBP" + chunk) == found


@pytest.mark.parametrize(("flags", "is_turned"), [(0x08, True), (0x00, False)])
@pytest.mark.parametrize("begin", [b"", b"Exif\0\0"])
def test_a_webp_is_turned_if_it_says_that_it_has_exif(flags: int, is_turned: bool, begin: bytes) -> None:
    placed = begin + exif("<", (274, 3, 6))
    odd = b"ICCP" + struct.pack("<I", 3) + bytes(4)  # padded to an even length
    chunks = odd + b"EXIF" + struct.pack("<I", len(placed)) + placed
    head = b"VP8X" + bytes([10, 0, 0, 0, flags, 0, 0, 0]) + b"\x09\0\0\x0b\0\0"
    found = header_of(b"RIFF\0\0\0\0WEBP" + head + chunks)
    assert found == (Header("webp", 10, 12, "RGB") if is_turned else Header("webp", 12, 10, "RGB"))


def test_of_a_header_that_is_cut_off_the_encoding_is_known() -> None:
    for encoding in MODES.keys() - {"GIF"}:
        assert header_of(picture(0, encoding)[:13]) == Header(encoding.lower())
    assert header_of(picture(0, "GIF")[:13]) == Header("gif", 12, 10)  # its size stands first


def test_sides_that_no_column_holds_are_unknown() -> None:
    assert header_of(png_of(2**31, 5)) == header_of(png_of(0, 5)) == Header("png")
    assert header_of(png_of(2**31 - 1, 5)) == Header("png", 5, 2**31 - 1, "RGB")


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
