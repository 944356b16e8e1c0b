"""What the first bytes of a picture say of it: encoding, size, mode. Nothing is decoded, and nothing is trusted.

PNG (https://www.w3.org/TR/png-3/), JPEG (ITU-T T.81, annex B), GIF (version 89a,
https://www.w3.org/Graphics/GIF/spec-gif89a.txt) and WebP (RFC 9649) are read here, since Pillow inflates a PNG's colour
profile, and allocates a WebP's canvas, when it opens one. BMP and TIFF are opened by Pillow, which reads their headers
alone. The orientation is that of the EXIF data (tag 274, CIPA DC-008-2019, 4.6.5); of a PNG, that of its chunk eXIf.
"""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

PNG, JPEG, WEBP, BMP, TIFF, GIF = "png", "jpeg", "webp", "bmp", "tiff", "gif"
ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif")

_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I": 1, "F": 1, "LA": 2, "P": 3, "RGB": 3, "YCbCr": 3, "LAB": 3,
             "PA": 4, "RGBA": 4, "RGBX": 4, "CMYK": 4}  # fmt: skip
_PNG_MODES = {(1, 0): "1", (16, 0): "I;16", (16, 2): "RGB", (16, 4): "LA", (16, 6): "RGBA",
              **{(bits, 0): "L" for bits in (2, 4, 8)}, **{(bits, 3): "P" for bits in (1, 2, 4, 8)},
              (8, 2): "RGB", (8, 4): "LA", (8, 6): "RGBA"}  # fmt: skip
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's markers SOF0 to SOF15
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_ORIENTATION = 274
_SHORT = 3  # EXIF's type of 16 bits
_MOST_CHUNKS = 10_000  # that are passed over in search of a header


class Header(NamedTuple):
    """What a picture's first bytes say: sizes in pixels, as it is seen after its EXIF orientation; 0: unknown.

    `mode` is the one that Pillow opens it in, None if unknown; but LA of a PNG that is grey with alpha, of which Pillow
    makes RGBA where it has 16 bits.
    """

    encoding: str
    height: int = 0
    width: int = 0
    mode: str | None = None

    @property
    def channels(self) -> int:
        """Values of a pixel: those of its colours, where it has a palette; 0: unknown."""
        return _CHANNELS.get(self.mode or "", 0)


def encoding_of(content: bytes) -> str | None:
    """Return the encoding that a file's first bytes declare, None if it is none that can be read."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return WEBP
    if content.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TIFF
    return BMP if content.startswith(b"BM") else None


def header_of(content: bytes) -> Header | None:
    """Return what a whole file's header says, None if it is no picture of a known encoding.

    Of a damaged header the encoding is all that is known.
    """
    encoding = encoding_of(content)
    if encoding is None:
        return None
    try:
        found = _READERS[encoding](content)
    except (struct.error, IndexError):
        found = None
    if found is None:
        return Header(encoding)
    width, height, mode, orientation = found
    if orientation in (5, 6, 7, 8):  # turned by a quarter
        width, height = height, width
    largest = 2**31 - 1
    return Header(encoding, height, width, mode) if 0 < width <= largest and 0 < height <= largest else Header(encoding)


def orientation_of(content: bytes) -> int:
    """Return the EXIF orientation of a whole file, 1 to 8; 1 if it has none, or is no picture that is known."""
    try:
        found = _READERS[encoding_of(content) or ""](content)
    except (struct.error, IndexError, KeyError):
        return 1
    return found[3] if found else 1


_Read = tuple[int, int, str | None, int]  # width, height, mode, orientation


def _png(content: bytes) -> _Read | None:
    length, name, width, height, bits, colour = struct.unpack_from(">I4sIIBB", content, 8)
    if name != b"IHDR" or length != 13:
        return None
    orientation, place = 1, 33
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(content):
            break
        length, name = struct.unpack_from(">I4s", content, place)
        if name == b"eXIf":
            orientation = _orientation(content[place + 8 : place + 8 + length])
            break
        place += 12 + length
    return width, height, _PNG_MODES.get((bits, colour)), orientation


def _jpeg(content: bytes) -> _Read | None:
    orientation, place = 1, 2
    for _ in range(_MOST_CHUNKS):
        place = content.find(b"\xff", place)
        if place < 0:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # filling
            place += 1
        elif marker in _WITHOUT_LENGTH or marker == 0:
            place += 2
        elif marker in _FRAMES:
            _, bits, height, width, components = struct.unpack_from(">HBHHB", content, place + 2)
            return width, height, _JPEG_MODES.get(components) if bits == 8 else None, orientation
        elif marker in (0xD9, 0xDA):  # end, or pixels before any frame
            return None
        else:
            (length,) = struct.unpack_from(">H", content, place + 2)
            if marker == 0xE1 and content[place + 4 : place + 10] == b"Exif\0\0":
                orientation = _orientation(content[place + 10 : place + 2 + length])
            place += 2 + max(2, length)
    return None


def _gif(content: bytes) -> _Read | None:
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    if not flags & 0x80:  # its palette stands before the frame
        return width, height, None, 1
    palette = content[13 : 13 + (6 << (flags & 7))]
    if len(palette) < 6 << (flags & 7):
        return width, height, None, 1
    is_grey = all(level == place // 3 for place, level in enumerate(palette))
    return width, height, "L" if is_grey else "P", 1


def _webp(content: bytes) -> _Read | None:
    name = content[12:16]
    if name == b"VP8 ":
        start, width, height = struct.unpack_from("<3sHH", content, 23)
        return (width & 0x3FFF, height & 0x3FFF, "RGB", 1) if start == b"\x9d\x01\x2a" else None
    if name == b"VP8L":
        signature, bits = struct.unpack_from("<BI", content, 20)
        mode = "RGBA" if bits >> 28 & 1 else "RGB"
        return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, mode, 1) if signature == 0x2F else None
    if name != b"VP8X":
        return None
    flags = content[20]
    width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    if len(content) < 30:
        return None
    orientation, place = 1, 12
    for _ in range(_MOST_CHUNKS if flags & 0x08 else 0):
        if place + 8 > len(content):
            break
        chunk, length = struct.unpack_from("<4sI", content, place)
        if chunk == b"EXIF":
            orientation = _orientation(content[place + 8 : place + 8 + length].removeprefix(b"Exif\0\0"))
            break
        place += 8 + length + length % 2
    return width, height, "RGBA" if flags & 0x10 else "RGB", orientation


def _by_pillow(content: bytes) -> _Read | None:
    import warnings

    from PIL import BmpImagePlugin, TiffImagePlugin

    # Not by Image.open, which refuses a picture for its declared size: here it is only told.
    kind = BmpImagePlugin.BmpImageFile if content.startswith(b"BM") else TiffImagePlugin.TiffImageFile
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with kind(io.BytesIO(content)) as picture:
                if isinstance(picture, TiffImagePlugin.TiffImageFile):
                    tags = picture.tag_v2  # its size is that of before the orientation; Pillow's is the other
                    return int(tags[256]), int(tags[257]), picture.mode, int(tags.get(_ORIENTATION, 1))
                return *picture.size, picture.mode, 1
    except Exception:  # noqa: BLE001 - its readers raise whatever their parsing meets
        return None


def _orientation(exif: bytes) -> int:
    """Return the orientation that EXIF data declare, 1 to 8; 1 (as it is) if they declare none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (place,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, place)
        for number in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, place + 2 + 12 * number)
            if tag == _ORIENTATION and kind == _SHORT:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


_READERS = {PNG: _png, JPEG: _jpeg, GIF: _gif, WEBP: _webp, BMP: _by_pillow, TIFF: _by_pillow}
