"""From payloads to pixels by stated rules, or one reason of a closed list."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any
from unittest.mock import patch as patched

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pipeline.data.decoding import SIDE_LIMIT, Refused, Rules, decode, of_raw, shape_digest
from pipeline.data.picture_headers import header_of
from pipeline.data.picture_reasons import (
    DAMAGED,
    EMPTY,
    NOT_A_PICTURE,
    REASONS,
    SEVERAL_FRAMES,
    TOO_LARGE,
    TRUNCATED,
    UNSUPPORTED_MODE,
    WRONG_SIZE,
)
from tests.data.given import images, picture

GREY, COLOUR = Rules(1), Rules(3)
LOSSLESS = ("png", "bmp", "tiff", "gif", "webp")
NOISE = images(1, (9, 7, 3))[0]


def saved(image: Image.Image, encoding: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, encoding.upper(), **({"lossless": True} if encoding == "webp" else {}), **options)
    return content.getvalue()


def pixels_of(content: bytes, encoding: str, rules: Rules = COLOUR) -> np.ndarray[Any, Any]:
    found = decode(content, encoding, rules)
    assert not isinstance(found, Refused), found
    assert found.dtype == np.uint8
    return found


def refused(content: bytes, encoding: str | None, rules: Rules = COLOUR) -> str:
    found = decode(content, encoding, rules)
    assert isinstance(found, Refused)
    assert found.reason in REASONS
    assert found.detail
    return found.reason


@pytest.mark.parametrize("encoding", LOSSLESS)
def test_grey_pictures_come_back_as_they_were_stored(encoding):
    grey = NOISE[..., :1]

    assert np.array_equal(pixels_of(saved(Image.fromarray(grey[..., 0]), encoding), encoding, GREY), grey)


@pytest.mark.parametrize("encoding", ["png", "bmp", "tiff", "webp"])
def test_coloured_pictures_come_back_as_they_were_stored(encoding):
    assert np.array_equal(pixels_of(saved(Image.fromarray(NOISE), encoding), encoding), NOISE)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_comes_back_nearly(channels):
    smooth = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None] * 5, (32, 32, channels))

    found = pixels_of(picture(smooth, "jpeg"), "jpeg", Rules(channels))

    assert np.abs(found.astype(int) - smooth).max() < 12


def test_colour_becomes_grey_by_the_weights_of_bt_601_and_grey_three_equal_channels():
    levels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]]], np.uint8)

    assert pixels_of(picture(levels, "png"), "png", GREY).ravel().tolist() == [76, 150, 29, 18]
    assert pixels_of(picture(levels[..., :1], "png"), "png").reshape(-1, 3)[3].tolist() == [10, 10, 10]


def test_one_bit_is_black_and_white():
    bits = Image.fromarray(np.eye(8, dtype=np.uint8) * 255).convert("1")

    assert np.array_equal(pixels_of(saved(bits, "png"), "png", GREY)[..., 0], np.eye(8) * 255)


def test_a_palette_is_looked_up():
    indices = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    indices.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1])

    assert pixels_of(saved(indices, "png"), "png").tolist() == [[[9, 8, 7], [6, 5, 4], [3, 2, 1]]]
    assert pixels_of(saved(indices, "gif"), "gif").tolist() == [[[9, 8, 7], [6, 5, 4], [3, 2, 1]]]


@pytest.mark.parametrize("background", [0, 77, 255])
def test_what_is_transparent_shows_the_background(background):
    rules = Rules(3, background)
    both = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    grey = np.array([[[10, 255], [10, 0]]], np.uint8)
    indices = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    indices.putpalette([10, 20, 30, 40, 50, 60])
    key = Image.fromarray(np.array([[[10, 20, 30], [1, 2, 3]]], np.uint8))

    shown, behind = [10, 20, 30], [background] * 3
    assert pixels_of(saved(Image.fromarray(both), "png"), "png", rules).tolist() == [[shown, behind]]
    assert pixels_of(saved(Image.fromarray(both), "webp", exact=True), "webp", rules).tolist() == [[shown, behind]]
    assert pixels_of(saved(Image.fromarray(grey), "png"), "png", Rules(1, background)).ravel().tolist() == [
        10,
        background,
    ]
    assert pixels_of(saved(indices, "png", transparency=1), "png", rules).tolist() == [[shown, behind]]
    assert pixels_of(saved(indices, "gif", transparency=1), "gif", rules).tolist() == [[shown, behind]]
    assert pixels_of(saved(key, "png", transparency=(1, 2, 3)), "png", rules).tolist() == [[shown, behind]]


def test_half_transparent_is_half_of_each():
    content = saved(Image.fromarray(np.array([[[200, 200, 200, 128]]], np.uint8)), "png")

    assert pixels_of(content, "png", Rules(1, 0)).item() == 100


@pytest.mark.parametrize("encoding", ["png", "tiff"])
def test_of_sixteen_bits_the_upper_eight_count(encoding):
    deep = np.array([[0, 255, 256, 65535]], np.uint16)

    assert pixels_of(saved(Image.fromarray(deep), encoding), encoding, GREY).ravel().tolist() == [0, 0, 1, 255]
    assert pixels_of(saved(Image.fromarray(deep), encoding), encoding).shape == (1, 4, 3)


def test_cmyk_becomes_colour():
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))

    assert np.abs(pixels_of(saved(inks, "jpeg", quality=100), "jpeg")[4, 4] - [255, 0, 0]).max() <= 3
    assert pixels_of(saved(inks, "tiff"), "tiff")[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_a_mode_without_a_declared_range_is_refused_by_its_name(mode):
    found = decode(saved(Image.new(mode, (4, 4)), "tiff"), "tiff", COLOUR)

    assert found == Refused(UNSUPPORTED_MODE, f"mode {mode}")


TURNED = {  # what the orientation says of the stored rows and columns: Exif 2.3, section 4.6.4
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
    9: lambda a: a,  # no orientation
}


@pytest.mark.parametrize("encoding", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", TURNED)
def test_a_picture_is_turned_as_its_exif_orientation_says(encoding, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(NOISE), encoding, exif=exif.tobytes())

    turned = TURNED[orientation](NOISE)
    assert np.array_equal(pixels_of(content, encoding), turned)
    assert np.array_equal(pixels_of(content, encoding, COLOUR._replace(height=len(turned))), turned)
    assert refused(content, encoding, COLOUR._replace(height=len(turned) + 1)) == WRONG_SIZE


@pytest.mark.parametrize("encoding", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("has_exif", [False, True])
def test_an_orientation_in_xmp_turns_nothing_whether_there_is_exif_or_not(encoding, has_exif):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[270] = "a description, and no orientation"
    told = PngImagePlugin.PngInfo()
    told.add_itxt("XML:com.adobe.xmp", xmp.decode())
    options = {"pnginfo": told} if encoding == "png" else {"xmp": xmp}

    content = saved(Image.fromarray(NOISE), encoding, **options, **({"exif": exif.tobytes()} if has_exif else {}))

    with Image.open(io.BytesIO(content)) as opened:
        assert opened.getexif()[0x0112] == 6  # what Pillow makes of it
    assert pixels_of(content, encoding).shape == NOISE.shape
    assert header_of(content)[1:3] == NOISE.shape[:2]


def test_an_orientation_at_the_end_of_a_png_turns_it():
    exif = Image.Exif()
    exif[0x0112] = 6
    head, end = saved(Image.fromarray(NOISE), "png")[:-12], saved(Image.fromarray(NOISE), "png")[-12:]
    data = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))

    assert np.array_equal(pixels_of(head + chunk + end, "png"), TURNED[6](NOISE))
    assert header_of(head + chunk + end)[1:3] == NOISE.shape[1::-1]


def test_an_orientation_in_imagemagicks_old_profile_turns_a_png():
    exif = Image.Exif()
    exif[0x0112] = 6
    told = PngImagePlugin.PngInfo()
    told.add_text("Raw profile type exif", f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n", zip=True)

    assert np.array_equal(pixels_of(saved(Image.fromarray(NOISE), "png", pnginfo=told), "png"), TURNED[6](NOISE))


def test_a_jpeg_is_turned_too_and_damaged_exif_turns_nothing():
    smooth = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None] * 5, (16, 24, 3))
    exif = Image.Exif()
    exif[0x0112] = 6

    turned = saved(Image.fromarray(smooth), "jpeg", exif=exif.tobytes())
    damaged = saved(Image.fromarray(smooth), "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")

    assert pixels_of(turned, "jpeg").shape == (24, 16, 3)
    assert pixels_of(damaged, "jpeg").shape == (16, 24, 3)


def test_a_gif_gives_its_first_frame_and_others_of_several_frames_are_refused():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    many = {"save_all": True, "append_images": frames[1:]}

    assert pixels_of(saved(frames[0], "gif", **many), "gif")[0, 0].tolist() == [255, 0, 0]
    for encoding in ("png", "webp", "tiff"):
        assert refused(saved(frames[0], encoding, **many), encoding) == SEVERAL_FRAMES


PNG = picture(NOISE, "png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """Return the picture with a chunk more, behind its header."""
    return PNG[:33] + chunk(kind, data) + PNG[33:]


BOMB = zlib.compress(bytes(2**20 + 1))


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (b"", "png", EMPTY),
        (PNG, "jpeg", NOT_A_PICTURE),
        (picture(NOISE, "jpeg"), "png", NOT_A_PICTURE),
        (b"<html>", "gif", NOT_A_PICTURE),
        (b"RIFF\0\0\0\0WAVE", "webp", NOT_A_PICTURE),
        (PNG, "heif", NOT_A_PICTURE),
        (PNG, None, NOT_A_PICTURE),
        (PNG[:-1], "png", TRUNCATED),
        (PNG[:50], "png", TRUNCATED),
        (PNG[:8], "png", TRUNCATED),
        (picture(NOISE, "jpeg")[:-100], "jpeg", TRUNCATED),
        (saved(Image.fromarray(NOISE), "webp")[:-10], "webp", TRUNCATED),
        (saved(Image.fromarray(NOISE), "gif")[:-20], "gif", TRUNCATED),
        (saved(Image.fromarray(NOISE), "tiff")[:-100], "tiff", TRUNCATED),
        (saved(Image.fromarray(NOISE), "bmp")[:-100], "bmp", TRUNCATED),
        (PNG[:45] + bytes([PNG[45] ^ 1]) + PNG[46:], "png", DAMAGED),
        (PNG[:-5] + b"x" + PNG[-4:], "png", DAMAGED),
        (with_chunk(b"acTL", struct.pack(">II", 2, 0)), "png", SEVERAL_FRAMES),
        (with_chunk(b"zTXt", b"a\0\0" + BOMB), "png", TOO_LARGE),
        (with_chunk(b"iCCP", b"a\0\0" + BOMB), "png", TOO_LARGE),
        (with_chunk(b"iTXt", b"a\0\1\0en\0a\0" + BOMB), "png", TOO_LARGE),
    ],
)
def test_what_cannot_be_used_is_told_apart(content, encoding, reason):
    assert refused(content, encoding) == reason


@pytest.mark.parametrize(
    ("begin", "encoding"),
    [(b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"II+\0", "tiff"), (b"MM\0+", "tiff"), (b"GIF87a", "gif"),
     (b"GIF89a", "gif"), (b"BM", "bmp"), (b"\xff\xd8\xff", "jpeg")],
)  # fmt: skip
def test_what_begins_like_its_encoding_is_damaged_and_not_another(begin, encoding):
    assert refused(begin + bytes(30), encoding) in (DAMAGED, TRUNCATED)


def test_an_encoding_that_is_not_read_is_told_those_that_are():
    expected = "encoding heif, expected raw, png, jpeg, webp, bmp, tiff, gif"
    assert decode(PNG, "heif", COLOUR) == Refused(NOT_A_PICTURE, expected)


def test_that_memory_is_gone_says_nothing_of_the_picture(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError):
        decode(PNG, "png", COLOUR)


@pytest.mark.parametrize(
    "content",
    [
        with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20))),
        with_chunk(b"iTXt", b"a\0\0\0en\0a\0plain"),
        with_chunk(b"acTL", struct.pack(">II", 1, 0)),
        with_chunk(b"teXt", b"nobody knows"),
        PNG + b"behind the end",
    ],
)
def test_what_stands_beside_the_pixels_does_no_harm_within_its_limits(content):
    assert np.array_equal(pixels_of(content, "png"), NOISE)


def test_a_picture_above_the_limit_of_pixels_is_refused_before_it_is_decoded():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    assert refused(bomb, "png") == TOO_LARGE
    assert refused(PNG, "png", COLOUR._replace(pixels_at_most=62)) == TOO_LARGE
    assert np.array_equal(pixels_of(PNG, "png", COLOUR._replace(pixels_at_most=63)), NOISE)
    found = decode(saved(Image.new("1", (SIDE_LIMIT + 1, 1)), "png"), "png", GREY)
    assert found == Refused(TOO_LARGE, "1 × 16385 pixels, at most 16384 a side are taken")


@pytest.mark.parametrize(("height", "width", "reason"), [(9, None, None), (None, 7, None), (8, 7, 1), (9, 8, 1)])
def test_only_sides_that_the_recipe_declares_are_asked_for(height, width, reason):
    found = decode(PNG, "png", COLOUR._replace(height=height, width=width))

    assert (found.reason == WRONG_SIZE if isinstance(found, Refused) else None) == (True if reason else None)


@pytest.mark.parametrize(
    ("size_bytes", "shape", "reason"),
    [
        (6, (2, 3, 1), None),
        (5, (2, 3, 1), TRUNCATED),
        (7, (2, 3, 1), DAMAGED),
        (0, (2, 3, 1), EMPTY),
        (6, (0, 3, 1), DAMAGED),
        (6, (2**31 - 1, 2**31 - 1, 2**31 - 1), TRUNCATED),
        (12, (2, 3, 2), UNSUPPORTED_MODE),
        (6, (3, 2, 1), WRONG_SIZE),
    ],
)
def test_a_raw_array_is_held_against_what_is_declared(size_bytes, shape, reason):
    found = of_raw(bytes(range(size_bytes)), shape, Rules(1, height=2, width=3))

    if reason:
        assert isinstance(found, Refused)
        assert found.reason == reason
    else:
        assert np.array_equal(found, np.arange(6).reshape(2, 3, 1))


def test_a_raw_array_in_colour_becomes_grey_as_a_picture_does():
    assert np.array_equal(of_raw(NOISE.tobytes(), NOISE.shape, GREY), pixels_of(PNG, "png", GREY))


@given(
    st.sampled_from([*LOSSLESS, "jpeg"]),
    st.integers(0, 400),
    st.binary(max_size=12),
    st.integers(0, 700),
    st.sampled_from([1, 3]),
)
@example("tiff", 4, b"\xff\xff\xff\xff", 700, 3)
def test_any_damage_gives_pixels_or_a_reason_and_the_same_one_each_time(encoding, position, patch, length, channels):
    content = bytearray(saved(Image.fromarray(images(1, (16, 16, 3))[0]), encoding))
    content[position : position + len(patch)] = patch
    rules = Rules(channels, pixels_at_most=10_000)

    found, again = (decode(bytes(content[:length]), encoding, rules) for _ in range(2))

    if isinstance(found, Refused):
        assert found == again
        assert found.reason in REASONS
    else:
        assert found.shape[2] == channels
        assert np.array_equal(found, again)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["L", "RGB", "CMYK"]),
    st.fixed_dictionaries(
        {
            "quality": st.sampled_from([1, 60, 75, 100]),
            "subsampling": st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
            "progressive": st.booleans(),
            "optimize": st.booleans(),
            "restart_marker_rows": st.sampled_from([0, 1]),
            "keep_rgb": st.booleans(),
        }
    ),
    st.integers(2, 2000),
    st.binary(max_size=3),
    st.integers(0, 40),
    st.sampled_from([1, 3]),
)
def test_both_decoders_of_a_jpeg_whole_or_damaged_give_the_same(sides, mode, options, position, patch, cut, channels):
    pixels = images(1, (*sides, 3))[0]
    if options["keep_rgb"]:
        options = {**options, "subsampling": "4:4:4"}
    whole = saved(Image.fromarray(pixels).convert(mode), "jpeg", **options)
    damaged = bytearray(whole[: len(whole) - cut])
    damaged[position : position + len(patch)] = patch
    for content in (whole, bytes(damaged)):
        found = decode(content, "jpeg", Rules(channels, pixels_at_most=10_000))
        with patched("simplejpeg.decode_jpeg", side_effect=ValueError):
            slowly = decode(content, "jpeg", Rules(channels, pixels_at_most=10_000))

        assert isinstance(found, Refused) == isinstance(slowly, Refused)
        assert np.array_equal(found, slowly) if isinstance(found, np.ndarray) else found == slowly


@pytest.mark.parametrize("shape", [(3, 2, 1), (6, 1, 1), (1, 2, 3)])
def test_the_same_bytes_in_another_shape_are_another_image(shape):
    assert shape_digest(*shape, bytes(6)) != shape_digest(2, 3, 1, bytes(6))


@pytest.mark.parametrize(
    ("chunks", "detail"),
    [
        ([chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20)))] * 17, "its texts inflate to more than 16777216"),
        ([chunk(b"tEXt", b"")] * 100_000, "more than 100000 chunks"),
    ],
)
def test_many_small_chunks_of_a_png_are_limited_together(chunks: list[bytes], detail: str) -> None:
    few, many = (PNG[:33] + b"".join(some) + PNG[33:] for some in (chunks[:-2], chunks))
    assert np.array_equal(pixels_of(few[:33] + b"".join(chunks[:16]) + PNG[33:], "png"), NOISE)
    found = decode(many, "png", COLOUR)
    assert isinstance(found, Refused)
    assert found.reason == TOO_LARGE
    assert found.detail.startswith(detail)


@pytest.mark.parametrize(("side", "reason"), [(40_000, TOO_LARGE), ("wide", DAMAGED)])
def test_tiles_of_a_tiff_are_held_against_the_limit_of_pixels(side: int | str, reason: str) -> None:
    tags = {322: 65_000, 323: 65_001}  # Pillow writes no tiles: the tags are written under other numbers first
    content = saved(Image.fromarray(NOISE), "tiff", tiffinfo=dict.fromkeys(tags.values(), side))
    for tag, written in tags.items():
        content = content.replace(struct.pack("<H", written), struct.pack("<H", tag), 1)
    assert refused(content, "tiff") == reason


def test_texts_of_a_png_are_limited_as_pillow_limits_them():
    assert PngImagePlugin.MAX_TEXT_CHUNK == 2**20  # what Pillow would refuse is refused by name before


def test_a_jpeg_of_more_scans_than_any_encoder_makes_is_too_large():
    whole = saved(Image.new("L", (16, 16), 77), "jpeg", progressive=True)
    second = whole.index(b"\xff\xda", whole.index(b"\xff\xda") + 1)
    start, end = whole.rindex(b"\xff\xc4", 0, second), whole.index(b"\xff\xc4", second)
    others = whole.count(b"\xff\xda")
    for times, expected in ((100, None), (101, TOO_LARGE)):
        found = decode(whole[:end] + whole[start:end] * (times - others) + whole[end:], "jpeg", GREY)
        assert (found.reason if isinstance(found, Refused) else None) == expected
        assert not isinstance(found, Refused) or found.detail == "101 scans, at most 100 are taken"
