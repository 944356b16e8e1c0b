"""A compressed file as a stream that is unpacked while it is read: gzip, bzip2 or xz, within stated limits."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from pipeline.errors import DataError

_PIECE_BYTES = 2**18
_XZ_MEMORY_BYTES = 2**28  # xz -9 needs 65 MiB; a stream may declare 4 GiB
_ALWAYS_BYTES = 2**26  # that may come out, whatever the ratio
_DAMAGED = (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool:
        """Whether its stream is over."""

    @property
    def needs_input(self) -> bool:
        """Whether it has unpacked all that it was given."""

    @property
    def unused_data(self) -> bytes:
        """What came after its stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes that are unpacked."""


class _Gzip:
    """zlib's decompressor, which keeps what it has not consumed to itself as bz2's and lzma's do."""

    def __init__(self) -> None:
        self._of_zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._of_zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._of_zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._of_zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._of_zlib.decompress(self._of_zlib.unconsumed_tail + data, max_length)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


_KINDS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": _Gzip,
    b"BZ": bz2.BZ2Decompressor,
    b"\xfd7": _xz,
}


class Unpacked:
    """What a file holds, unpacked if it is compressed. At most `largest_bytes` come out, and `largest_ratio` times
    what went in; `where` names it in errors.
    """  # fmt: skip

    def __init__(self, file: BinaryIO, where: str, largest_bytes: int, largest_ratio: int) -> None:
        self._file, self._where = file, where
        self._largest_bytes, self._largest_ratio = largest_bytes, largest_ratio
        self._in = self._out = 0
        first = file.read(2)
        file.seek(0)
        self._make = _KINDS.get(first)
        self._now: _Decompressor | None = self._make() if self._make else None

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes, fewer only at the end; raise DataError if the file is damaged or swells too much."""
        pieces = []
        while size_bytes and (piece := self._piece(min(size_bytes, _PIECE_BYTES))):
            self._out += len(piece)
            if self._out > self._largest_bytes:
                raise DataError(f"{self._where}: unpacks to more than {self._largest_bytes} bytes; {_RAISE}")
            if self._now and self._out > max(_ALWAYS_BYTES, self._in * self._largest_ratio):
                raise DataError(f"{self._where}: unpacks to more than {self._largest_ratio} times its size; {_RAISE}")
            pieces.append(piece)
            size_bytes -= len(piece)
        return b"".join(pieces)

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes; return how many there were."""
        passed = 0
        while passed < size_bytes and (piece := self.read(min(size_bytes - passed, _PIECE_BYTES))):
            passed += len(piece)
        return passed

    def _piece(self, size_bytes: int) -> bytes:
        if self._now is None or self._make is None:
            return self._file.read(size_bytes)
        try:
            while True:
                data = b""
                if self._now.eof:  # another stream may follow, or zeros that fill a block
                    data = self._now.unused_data.lstrip(b"\0")
                    while not data and (more := self._more()):
                        data = more.lstrip(b"\0")
                    if not data:
                        return b""
                    self._now = self._make()
                elif self._now.needs_input:
                    data = self._more()
                piece = self._now.decompress(data, size_bytes)
                if piece:
                    return piece
                if not data and not self._now.eof:
                    raise DataError(f"{self._where}: truncated: ends inside a compressed stream; fetch it again")
        except _DAMAGED as error:
            raise DataError(f"{self._where}: its compressed stream is damaged: {error}; fetch it again") from error

    def _more(self) -> bytes:
        more = self._file.read(_PIECE_BYTES)
        self._in += len(more)
        return more


_RAISE = "if it is to be trusted, raise the limit in data.source.settings"
