"""From payloads of images to pixels. Encodings: raw (row-major uint8), png, jpeg. Payload bytes are not trusted."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.payloads import payload_views
from pipeline.errors import Bug

Shape = tuple[int, int, int]  # height, width, channels
ENCODINGS = ("raw", "png", "jpeg")
# The Pillow modes accepted for each declared number of channels. Nothing is guessed: no alpha, no 16 bits.
_MODES = {1: ("L", {"L", "1"}), 3: ("RGB", {"RGB", "P"})}


def shape_digest(height: int, width: int, channels: int, payload: bytes | memoryview) -> str:
    """Return the hex sha256 over a shape (three big-endian 64-bit integers) and the payload."""
    digest = hashlib.sha256(struct.pack(">3q", height, width, channels))
    digest.update(payload)
    return digest.hexdigest()


# What Pillow raises for damaged bytes: https://pillow.readthedocs.io/en/stable/reference/Image.html
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)


def decode_picture(payload: bytes | memoryview, encoding: str, shape: Shape) -> npt.NDArray[np.uint8] | None:
    """Return a png's or jpeg's pixels, `[height, width, channel] uint8`, or None unless it decodes to exactly `shape`.

    The size in the file's header is checked before any pixel is decoded, so a small file cannot claim much memory.
    """
    from PIL import Image

    height, width, channels = shape
    mode, accepted = _MODES.get(channels, ("", set()))
    try:
        with Image.open(io.BytesIO(payload), formats=[encoding.upper()]) as picture:
            if picture.size != (width, height) or picture.mode not in accepted:
                return None
            picture.verify()  # checksums, and that the file is whole; the picture has to be opened again after it
        with Image.open(io.BytesIO(payload), formats=[encoding.upper()]) as picture:
            return np.asarray(picture.convert(mode), np.uint8).reshape(shape)
    except _DAMAGED:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
        return None


def decode_payloads(payloads: pa.ChunkedArray, encodings: pa.ChunkedArray, shape: Shape) -> npt.NDArray[np.uint8]:
    """Return the pixels of clean rows, `[row, height, width, channel] uint8`.

    Raises Bug for a payload that is not an image of `shape`.
    """
    views = payload_views(payloads)
    size = int(np.prod(shape))
    if pc.all(pc.equal(encodings, "raw")).as_py() in (True, None):
        if any(len(view) != size for view in views):
            raise Bug(f"a cleaned row's payload is not {size} bytes long")
        return np.frombuffer(b"".join(views), np.uint8).reshape(-1, *shape)
    pixels = np.empty((len(views), *shape), np.uint8)
    for row, (view, encoding) in enumerate(zip(views, encodings.to_pylist(), strict=True)):
        picture = (
            np.frombuffer(view, np.uint8).reshape(shape) if encoding == "raw" else decode_picture(view, encoding, shape)
        )
        if picture is None:
            raise Bug(f"a cleaned row's {encoding} payload does not decode to an image of {shape}")
        pixels[row] = picture
    return pixels
