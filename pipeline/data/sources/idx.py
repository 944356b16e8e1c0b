"""The idx format of the MNIST family: http://yann.lecun.com/exdb/mnist/ ("The IDX file format").

A folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, if the source has test rows of its own, the
same two with `t10k`; each plain or .gz, spelt `idx3-ubyte` or `idx3.ubyte`. Images with channels are
`idx4-ubyte`, `[image, height, width, channel]`. The bytes are not trusted: every declared size is checked against a
limit, and against what the file can hold, before anything of that size is read.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError, StorageError
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.source_rows import Source
    from pipeline.data.wanted import Wanted

FEATURES = {"image": "image"}  # what it delivers: a feature's name, and its kind

_PARTS = {"train": "train", "t10k": "test"}
_UBYTE = 0x08
_LARGEST_SIDE = 4096  # pixels; the same limit as that of the kind image
_CHANNELS = (1, 3)
_LARGEST_FILE_BYTES = 2**40
_ABOUT_IDX = re.compile(r"idx\d.ubyte|\.gz$")  # not another format: another name than is looked for
_LOOKED_AT = 1000  # names, to say what a folder holds instead
_LARGEST_DEFLATE_RATIO = 1032  # zlib's own bound: https://zlib.net/zlib_tech.html


@dataclass(frozen=True)
class IdxFile:
    """One idx file whose header has been checked: `shape` is `[item, …]`; one item is `item_bytes` long."""

    path: Path
    shape: tuple[int, ...]

    @property
    def items(self) -> int:
        """How many images or labels the file declares."""
        return self.shape[0]

    @property
    def item_bytes(self) -> int:
        """Bytes of one image or label."""
        return math.prod(self.shape[1:])

    def blocks(self, items: int) -> Iterator[bytes]:
        """Yield the items' bytes, `items` at a time; raise DataError if the file holds fewer or more than declared."""
        with _opened(self.path) as stream:
            _read(self.path, stream, 4 + 4 * len(self.shape))
            left = self.items
            while left:
                block = min(items, left)
                content = _read(self.path, stream, block * self.item_bytes)
                if len(content) < block * self.item_bytes:
                    missing = left - len(content) // max(1, self.item_bytes)
                    raise DataError(
                        f"{self.path}: truncated: declares {self.items} items of {self.item_bytes} bytes, "
                        f"the last {missing} are missing or not whole; fetch the file again"
                    )
                left -= block
                yield content
            if _read(self.path, stream, 1):
                raise DataError(
                    f"{self.path}: holds more bytes than the {self.items} items of {self.item_bytes} bytes "
                    "that it declares; fetch the file again"
                )


class Settings(Base):
    """It has no settings."""


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:  # noqa: ARG001 - as all are
    """Find and check the files of an idx folder; their rows are read when the tables are iterated.

    Its labels are numbers: they are delivered as they are.
    """
    from pipeline.data.source_rows import NothingThere, Source

    pairs = [
        (part, images, labels)
        for prefix, part in _PARTS.items()
        for images, labels in [_pair(folder, prefix)]
        if images is not None and labels is not None
    ]
    if not any(part == "train" for part, _, _ in pairs):
        raise NothingThere(
            f"{folder}: no training files{_what_else(folder)}; expected the idx files train-images-idx3-ubyte and "
            "train-labels-idx1-ubyte, plain or .gz"
        )
    return Source(
        rows=sum(images.items for _, images, _ in pairs),
        tables=(table for part, images, labels in pairs for table in _tables(part, images, labels)),
        test_rows=sum(images.items for part, images, _ in pairs if part == "test"),
    )


def recognise(path: Path) -> dict[str, object] | None:
    """Return the settings with which it reads a folder, None if there is no file of training images in it."""
    names = [f"train-images-idx{n}{dot}ubyte{gz}" for n in (3, 4) for dot in "-." for gz in ("", ".gz")]
    return {} if any((path / name).is_file() for name in names) else None


def _what_else(folder: Path) -> str:
    """Return what a folder without idx files holds, by the commonest ending of the first names in it."""
    endings: Counter[str] = Counter()
    for path in islice(folder.rglob("*"), _LOOKED_AT):
        if path.suffix and not _ABOUT_IDX.search(path.name) and path.is_file():
            endings[path.suffix.lower()] += 1
    if not endings:
        return ""
    [(ending, _)] = endings.most_common(1)
    return f", but {ending:.20} files"


def open_idx(path: Path, dimensions: tuple[int, ...]) -> IdxFile:
    """Check an idx file's header: magic, type, number of dimensions, each size, and the most that the file can hold.

    Raises DataError saying what was found and what was expected, StorageError if the file cannot be read.
    """
    with _opened(path) as stream:
        magic = _read(path, stream, 4)
        if len(magic) < 4 or magic[:2] != b"\0\0":
            hint = "; it is gzip: give its name the ending .gz" if magic[:2] == b"\x1f\x8b" else ""
            raise DataError(f"{path}: not an idx file: begins with {_hex(magic)}, expected 00 00 08 0n{hint}")
        if magic[2] != _UBYTE:
            raise DataError(f"{path}: idx type 0x{magic[2]:02x}, expected 0x08 (unsigned bytes)")
        if magic[3] not in dimensions:
            expected = " or ".join(map(str, dimensions))
            raise DataError(f"{path}: {magic[3]} dimensions, expected {expected}; is it the right file?")
        sizes = _read(path, stream, 4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise DataError(f"{path}: truncated inside its header: {4 + len(sizes)} bytes of {4 + 4 * magic[3]}")
    file = IdxFile(path, struct.unpack(f">{magic[3]}I", sizes))
    _check_sizes(file)
    return file


def _check_sizes(file: IdxFile) -> None:
    path, items, sides = file.path, file.items, file.shape[1:]
    if items == 0:
        raise DataError(f"{path}: holds zero items, expected at least one")
    if any(side == 0 or side > _LARGEST_SIDE for side in sides[:2]) or any(c not in _CHANNELS for c in sides[2:]):
        raise DataError(
            f"{path}: images of {' × '.join(map(str, sides))}, "
            f"expected height and width of 1 to {_LARGEST_SIDE} pixels, then 1 or 3 channels if there are any"
        )
    declared_bytes = 4 + 4 * len(file.shape) + items * file.item_bytes
    actual_bytes = _size_bytes(path)
    most_bytes = actual_bytes * _LARGEST_DEFLATE_RATIO if _is_gzip(path) else actual_bytes
    if declared_bytes > min(most_bytes, _LARGEST_FILE_BYTES):
        raise DataError(
            f"{path}: truncated: declares {items} items of {file.item_bytes} bytes, {declared_bytes} bytes in all, "
            f"but its {actual_bytes} bytes cannot hold more than {min(most_bytes, _LARGEST_FILE_BYTES)}"
        )
    if declared_bytes < actual_bytes and not _is_gzip(path):
        raise DataError(
            f"{path}: holds more bytes than it declares: {actual_bytes} bytes, expected {declared_bytes} "
            f"for {items} items of {file.item_bytes}"
        )


def _pair(folder: Path, prefix: str) -> tuple[IdxFile | None, IdxFile | None]:
    images_path = _find(folder, f"{prefix}-images", (3, 4))
    labels_path = _find(folder, f"{prefix}-labels", (1,))
    if images_path is None and labels_path is None:
        return None, None
    if images_path is None or labels_path is None:
        found = images_path or labels_path
        missing = f"{prefix}-images-idx3-ubyte" if images_path is None else f"{prefix}-labels-idx1-ubyte"
        raise DataError(f"{folder}: {missing} is missing beside {found and found.name}; expected both, plain or .gz")
    images, labels = open_idx(images_path, (3, 4)), open_idx(labels_path, (1,))
    if images.items != labels.items:
        less_or_more = "more" if labels.items > images.items else "fewer"
        raise DataError(
            f"{labels_path}: {less_or_more} labels than images: {labels.items} labels, "
            f"expected {images.items} as in {images_path.name}"
        )
    return images, labels


def _find(folder: Path, stem: str, dimensions: tuple[int, ...]) -> Path | None:
    names = [f"{stem}-idx{n}{dot}ubyte{gz}" for n in dimensions for dot in "-." for gz in ("", ".gz")]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{folder}: {found[0].name} and {found[1].name} are both here; expected one: remove the other")
    return found[0] if found else None


def _tables(part: str, images: IdxFile, labels: IdxFile) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa

    from pipeline.data.source_rows import rows_at_once

    height, width, channels = (*images.shape[1:], 1)[:3]
    items = rows_at_once(images.item_bytes)
    row = 0
    for pixels, values in zip(images.blocks(items), labels.blocks(items), strict=True):
        count = len(values)
        offsets = np.arange(count + 1, dtype=np.int32) * np.int32(images.item_bytes)
        columns = {
            "label": np.frombuffer(values, np.uint8).astype(np.int32),
            "part": pa.repeat(part, count),
            "source": pa.repeat(images.path.name, count),
            "row": np.arange(row, row + count),
            "image_height": np.full(count, height, np.int32),
            "image_width": np.full(count, width, np.int32),
            "image_channels": np.full(count, channels, np.int32),
            "image_mode": pa.repeat("L" if channels == 1 else "RGB", count),
            "image_encoding": pa.repeat("raw", count),
            "image": pa.Array.from_buffers(
                pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(pixels)], null_count=0
            ),
        }
        yield pa.table(columns)
        row += count


def _is_gzip(path: Path) -> bool:
    return path.suffix == ".gz"


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    try:
        return gzip.open(path, "rb") if _is_gzip(path) else path.open("rb")
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def _read(path: Path, stream: gzip.GzipFile | BufferedReader, size_bytes: int) -> bytes:
    """Read up to `size_bytes`: fewer only at the end of the content."""
    try:
        return stream.read(size_bytes)
    except EOFError as error:
        raise DataError(f"{path}: truncated: its gzip stream ends too soon; fetch the file again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: its gzip stream is damaged: {error}; fetch the file again") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def _hex(content: bytes) -> str:
    return content.hex(" ") or "nothing"
