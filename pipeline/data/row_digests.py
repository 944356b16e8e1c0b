"""Digests of rows by the column: SHA-256 of each text, as 64 hex digits, and the 64 bits that these begin with."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_HEX_DIGITS = 64
_BITS_HEX_DIGITS = 16
_NO_DIGIT = 255


def hex_digests(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the SHA-256 of each text's UTF-8 bytes, `[row] string` of 64 hex digits. There is no null."""
    return _column(b"".join([sha256(row).digest() for row in texts.cast(pa.binary()).to_pylist()]), len(texts))


def _column(digests: bytes, rows: int) -> pa.Array:
    ends = np.arange(rows + 1, dtype=np.int32) * _HEX_DIGITS
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(digests.hex().encode("ascii")))


def leading_bits(digests: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of each digest, `[row]`, from its first 16 hex digits. There is no null.

    Raises ValueError if a text does not begin with so many.
    """
    bits = [_bits_of(chunk) for chunk in (digests.chunks if isinstance(digests, pa.ChunkedArray) else [digests])]
    return bits[0] if len(bits) == 1 else np.concatenate([*bits, np.empty(0, np.uint64)])


def _bits_of(digests: pa.Array) -> npt.NDArray[np.uint64]:
    if not len(digests):
        return np.empty(0, np.uint64)
    _, offsets, data = digests.buffers()
    ends = np.frombuffer(offsets, np.int32, len(digests) + 1, digests.offset * 4)
    if np.diff(ends).min() < _BITS_HEX_DIGITS:
        raise ValueError(f"a digest has fewer than {_BITS_HEX_DIGITS} digits")
    content = np.frombuffer(data, np.uint8)
    starts = ends[:-1].astype(np.int64)
    values = _DIGITS[content[starts[:, None] + np.arange(_BITS_HEX_DIGITS)]]
    if values.max() == _NO_DIGIT:
        raise ValueError("a digest has a character that is no hex digit")
    octets = values[:, ::2] << 4 | values[:, 1::2]
    found: npt.NDArray[np.uint64] = octets.view(">u8").reshape(-1).astype(np.uint64)
    return found


def _digits() -> npt.NDArray[np.uint8]:
    table = np.full(256, _NO_DIGIT, np.uint8)
    table[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
    return table


_DIGITS = _digits()
