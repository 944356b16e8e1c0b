"""From payloads of pictures to pixels, by stated rules, or a reason why not. Payload bytes are not trusted.

Encodings: raw (row-major uint8), png, jpeg, webp, bmp, tiff, gif. What becomes of a picture:

- Turned as its EXIF orientation says (XMP's is not asked); a GIF's first frame, a JPEG's first picture; of other
  encodings, one frame only.
- Alpha, and a colour that a palette or a header calls transparent, over the grey level `background`.
- Of 16 bits a channel the upper eight. Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded; CMYK and YCbCr
  become RGB as Pillow converts them, colour profiles aside. 32 bits and floats have no declared range: refused, as is
  L*a*b*.
- Sides, frames and pixels are held against their limits by the header, before a pixel is decoded, and so are what a
  PNG's compressed texts and profile would inflate to, and the scans of a JPEG. Every checksum of a PNG is checked.

A JPEG has no checksums: damage within its data that leaves it long enough decodes to other pixels.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.data.picture_headers import orientation_of
from pipeline.data.picture_reasons import (
    DAMAGED,
    EMPTY,
    NOT_A_PICTURE,
    SEVERAL_FRAMES,
    TOO_LARGE,
    TRUNCATED,
    UNSUPPORTED_MODE,
    WRONG_SIZE,
)

ENCODINGS = ("raw", "png", "jpeg", "webp", "bmp", "tiff", "gif")
SIDE_LIMIT = 16_384  # pixels; the same as that of the served model: models/resizing.py

Pixels = npt.NDArray[np.uint8]  # [height, width, channel]

_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "webp": (b"RIFF",),
    "bmp": (b"BM",),
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "gif": (b"GIF87a", b"GIF89a"),
}
_COPIED_BYTES = 4096  # of a payload below that a copy takes less than a second call of the digest
_HAVE_ONE_FRAME = ("webp", "tiff")  # and png, whose chunks tell it
_MOST_SCANS = 100  # of a JPEG; encoders make ten or so, and each is a pass over all pixels
_INFLATED_BYTES = 2**20  # most that a PNG's compressed text or profile may hold
_INFLATED_ALTOGETHER_BYTES = 2**24  # most that all of them may
_MOST_CHUNKS = 100_000  # of a PNG: one of 64 MiB in pieces of 8 KiB has less than a tenth
_TILE_SIDES = (322, 323)  # TIFF 6.0, section 15
_ORIENTATION = 0x0112  # Exif 2.3, section 4.6.4
_OLD_EXIF = "Raw profile type exif"  # ImageMagick's, of before a PNG had a chunk for it
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of an object in memory: another one each time
_SIDEWAYS = (5, 6, 7, 8)
_CONVERTED = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


class Refused(NamedTuple):
    """Why a payload gives no pixels: one of `picture_reasons`, and what exactly, for people."""

    reason: str
    detail: str


class Rules(NamedTuple):
    """What pixels are to be: their channels (1 or 3), and what else the recipe says of them."""

    channels: int
    background: int = 255  # grey level behind what is transparent
    pixels_at_most: int = 64_000_000
    height: int | None = None  # None: any
    width: int | None = None


def shape_digest(height: int, width: int, channels: int, payload: bytes | memoryview) -> str:
    """Return the hex sha256 over a shape (three big-endian 64-bit integers) and the payload."""
    shape = _shape_bytes(height, width, channels)
    if memoryview(payload).nbytes < _COPIED_BYTES:
        return hashlib.sha256(shape + payload).hexdigest()
    digest = hashlib.sha256(shape)
    digest.update(payload)
    return digest.hexdigest()


@lru_cache
def _shape_bytes(height: int, width: int, channels: int) -> bytes:
    return struct.pack(">3q", height, width, channels)


def decode(payload: bytes | memoryview, encoding: str | None, rules: Rules) -> Pixels | Refused:
    """Return a picture's pixels, `[height, width, channel] uint8`, or why there are none. Not for raw arrays."""
    from PIL import Image, UnidentifiedImageError

    if not len(payload):
        return Refused(EMPTY, "it has no bytes")
    signatures = _SIGNATURES.get(encoding or "")
    if signatures is None:
        return Refused(NOT_A_PICTURE, f"encoding {encoding or 'unknown'}, expected {', '.join(ENCODINGS)}")
    if not bytes(payload[:8]).startswith(signatures):
        return Refused(NOT_A_PICTURE, f"begins with {bytes(payload[:8]).hex(' ')}, which no {encoding} does")
    look = _LOOKED_THROUGH.get(str(encoding))
    if look and (broken := look(memoryview(payload))):
        return broken
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd headers; what matters is refused here
            with Image.open(io.BytesIO(payload), formats=[str(encoding).upper()]) as picture:
                return _decoded(picture, payload, str(encoding), rules)
    except Image.DecompressionBombError as error:
        return Refused(TOO_LARGE, str(error))
    except UnidentifiedImageError:
        return Refused(DAMAGED, "its header cannot be read")
    except MemoryError:
        raise  # says nothing of the picture
    except Exception as error:  # noqa: BLE001 - a decoder raises anything for bytes made to break it
        is_cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        return Refused(TRUNCATED if is_cut else DAMAGED, _ADDRESS.sub("", f"{type(error).__name__}: {error!s:.200}"))


def of_raw(payload: bytes | memoryview, shape: tuple[int, int, int], rules: Rules) -> Pixels | Refused:
    """Return a raw array's pixels, `[height, width, channel] uint8`, or why there are none."""
    height, width, channels = shape
    size_bytes = height * width * channels  # Python's integers: three declared sides may exceed 64 bits
    if not len(payload):
        return Refused(EMPTY, "it has no bytes")
    if min(shape) < 1:
        return Refused(DAMAGED, f"declared as {_shown(height, width)} pixels of {channels} channels")
    if len(payload) != size_bytes:
        reason = TRUNCATED if len(payload) < size_bytes else DAMAGED
        return Refused(reason, f"{len(payload)} bytes, declared {size_bytes}")
    if channels not in (1, 3):
        return Refused(UNSUPPORTED_MODE, f"{channels} channels, expected 1 or 3")
    if refused := refused_size(height, width, rules):
        return refused
    pixels = np.frombuffer(payload, np.uint8).reshape(shape)
    if channels == rules.channels:
        return pixels
    return _array(_image(pixels), rules)


def _image(pixels: Pixels) -> Any:
    from PIL import Image

    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


def _decoded(picture: Any, payload: bytes | memoryview, encoding: str, rules: Rules) -> Pixels | Refused:
    from PIL import Image

    orientation = _orientation(bytes(payload), picture)
    width, height = picture.size[::-1] if orientation in _SIDEWAYS else picture.size
    if refused := refused_size(height, width, rules):
        return refused
    if encoding == "tiff" and (refused := _refused_tiles(picture, rules)):
        return refused
    is_deep = picture.mode.startswith("I;16")
    if not is_deep and picture.mode not in _CONVERTED:
        return Refused(UNSUPPORTED_MODE, f"mode {picture.mode}")
    if encoding in _HAVE_ONE_FRAME and _has_several_frames(picture):
        return Refused(SEVERAL_FRAMES, f"a {encoding} of more than one frame; only a gif's first is taken")
    if encoding == "jpeg" and orientation == 1 and (fast := _of_whole_jpeg(payload, picture, rules)) is not None:
        return fast
    picture.load()
    if is_deep:
        deep = np.asarray(picture)
        levels = (deep >> 8).astype(np.uint8)
        if isinstance(key := picture.info.get("transparency"), int):
            levels[deep == key] = rules.background
        picture = Image.fromarray(levels)
    if 2 <= orientation <= 8:
        picture = picture.transpose(_turns()[orientation])
    return _array(picture, rules)


def _of_whole_jpeg(payload: bytes | memoryview, picture: Any, rules: Rules) -> Pixels | None:
    """Return the pixels of a JPEG, in half the time that Pillow takes for the same ones (both are libjpeg-turbo).

    None of one that is not whole, or neither grey nor in colour: that is Pillow's, with the rules for it.
    """
    from simplejpeg import decode_jpeg

    if picture.mode not in ("L", "RGB"):
        return None
    try:
        pixels: Pixels = decode_jpeg(payload, "GRAY" if picture.mode == "L" else "RGB", strict=True)
    except ValueError:
        return None
    if pixels.shape[:2] != picture.size[::-1]:
        return None
    return pixels if pixels.shape[2] == rules.channels else _array(_image(pixels), rules)


def _array(picture: Any, rules: Rules) -> Pixels:
    """Return a loaded picture's pixels over the background, in the channels asked for."""
    from PIL import Image

    if picture.mode in _WITH_ALPHA or "transparency" in picture.info:
        behind = Image.new("RGBA", picture.size, (rules.background,) * 3 + (255,))
        behind.alpha_composite(picture.convert("RGBA"))
        picture = behind.convert("RGB")
    wanted = "L" if rules.channels == 1 else "RGB"
    converted = picture if picture.mode == wanted else picture.convert(wanted)
    return np.asarray(converted, np.uint8).reshape(converted.height, converted.width, rules.channels)


def refused_size(height: int, width: int, rules: Rules) -> Refused | None:
    """Return why a picture of these sides is not taken, None if it is."""
    if height * width > rules.pixels_at_most:
        return Refused(TOO_LARGE, f"{_shown(height, width)} pixels, at most {rules.pixels_at_most} in all are taken")
    if max(height, width) > SIDE_LIMIT:
        return Refused(TOO_LARGE, f"{_shown(height, width)} pixels, at most {SIDE_LIMIT} a side are taken")
    if rules.height not in (None, height) or rules.width not in (None, width):
        declared = f"{rules.height or 'any'} × {rules.width or 'any'}"
        return Refused(WRONG_SIZE, f"{_shown(height, width)} pixels, the recipe says {declared} (height × width)")
    return None


def _refused_tiles(picture: Any, rules: Rules) -> Refused | None:
    """Refuse a TIFF whose tiles, which are decoded whole, have more pixels than a picture may."""
    width, height = (picture.tag_v2.get(tag, 0) for tag in _TILE_SIDES)
    if not (isinstance(width, int) and isinstance(height, int)):
        return Refused(DAMAGED, "the sides of its tiles are no numbers")
    if height * width > rules.pixels_at_most:
        return Refused(
            TOO_LARGE, f"tiles of {_shown(height, width)} pixels, at most {rules.pixels_at_most} in all are taken"
        )
    return None


def _shown(height: int, width: int) -> str:
    return f"{height} × {width}"


def _orientation(content: bytes, picture: Any) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none, or none that can be read. Pillow turns a TIFF itself.

    Pillow's own `getexif` would take XMP's where EXIF has none, and not that of a PNG whose chunk stands at its end.
    """
    from PIL import Image

    if picture.format == "TIFF":
        return 1
    if _OLD_EXIF not in picture.info:
        return orientation_of(content)
    exif = Image.Exif()
    try:
        exif.load(bytes.fromhex("".join(picture.info[_OLD_EXIF].split("\n")[3:])))
        found = exif.get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF is no damage to the picture
        return 1
    return found if isinstance(found, int) else 1


def _turns() -> dict[int, Any]:
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }


def _has_several_frames(picture: Any) -> bool:
    try:
        picture.seek(1)
    except EOFError:
        return False
    return True


def _cut_webp(content: memoryview) -> Refused | None:
    if len(content) < 12 or bytes(content[8:12]) != b"WEBP":
        return Refused(NOT_A_PICTURE, "begins like RIFF, but is no webp")
    (size_bytes,) = struct.unpack_from("<I", content, 4)
    if size_bytes + 8 > len(content):
        return Refused(TRUNCATED, f"{len(content)} bytes, its header says {size_bytes + 8}")
    return None


def _too_many_scans(content: memoryview) -> Refused | None:
    """Count what looks like the start of a scan, ITU-T T.81, B.2.3: a few bytes of one can stand for all pixels."""
    scans = bytes(content).count(b"\xff\xda")
    return Refused(TOO_LARGE, f"{scans} scans, at most {_MOST_SCANS} are taken") if scans > _MOST_SCANS else None


def _broken_png(content: memoryview) -> Refused | None:
    """Walk a PNG's chunks: https://www.w3.org/TR/png-3/#5Chunk-layout."""
    place, inflated_bytes = 8, 0
    for _ in range(_MOST_CHUNKS):
        if place + 12 > len(content):
            return Refused(TRUNCATED, "ends before its last chunk, IEND")
        length, kind = struct.unpack_from(">I4s", content, place)
        data, place = place + 8, place + 12 + length
        name = kind.decode("ascii", "backslashreplace")
        if place > len(content):
            return Refused(TRUNCATED, f"its chunk {name} goes on {place - len(content)} bytes after the end")
        if zlib.crc32(content[data - 4 : place - 4]) != int.from_bytes(content[place - 4 : place]):
            return Refused(DAMAGED, f"the checksum of its chunk {name} is wrong")
        if kind == b"acTL" and length >= 4 and int.from_bytes(content[data : data + 4]) > 1:
            return Refused(SEVERAL_FRAMES, "an animated png; only a gif's first frame is taken")
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            size_bytes = _inflated_bytes(kind, content[data : place - 4])
            inflated_bytes += size_bytes
            if size_bytes > _INFLATED_BYTES:
                return Refused(TOO_LARGE, f"its chunk {name} inflates to more than {_INFLATED_BYTES} bytes")
            if inflated_bytes > _INFLATED_ALTOGETHER_BYTES:
                return Refused(TOO_LARGE, f"its texts inflate to more than {_INFLATED_ALTOGETHER_BYTES} bytes together")
        if kind == b"IEND":
            return None
    return Refused(TOO_LARGE, f"more than {_MOST_CHUNKS} chunks")


def _inflated_bytes(kind: bytes, data: memoryview) -> int:
    """Return what a compressed text or profile holds, or one byte more than it may.

    A keyword and the method stand before it; of iTXt a flag, the method and two texts.
    """
    rest = bytes(data).partition(b"\0")[2]
    if kind == b"iTXt":
        is_compressed, rest = rest[:1] == b"\1", rest[2:]
        compressed = rest.split(b"\0", 2)[-1] if is_compressed else b""
    else:
        compressed = rest[1:]
    try:
        return len(zlib.decompressobj().decompress(compressed, _INFLATED_BYTES + 1))
    except zlib.error:
        return 0  # no bomb; whether it is of use is not asked


_LOOKED_THROUGH = {"jpeg": _too_many_scans, "png": _broken_png, "webp": _cut_webp}
