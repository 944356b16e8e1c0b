"""CIFAR-10 and CIFAR-100: 32 × 32 pixels in colour (https://www.cs.toronto.edu/~kriz/cifar.html).

A folder with the binary version's batches (`data_batch_1.bin` …, `test_batch.bin`; of CIFAR-100 `train.bin`,
`test.bin`), or with the Python version's of the same names without `.bin`: these are pickles, read by a parser of their
structure that executes nothing. Labels are numbers; where the folder has the file of their names
(`batches.meta.txt`, `fine_label_names.txt`, `coarse_label_names.txt`, or the Python version's `batches.meta`, `meta`),
it is the names that are held against `data.classes`, in whatever order these stand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.errors import DataError
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipeline.data.source_rows import Source
    from pipeline.data.wanted import Wanted

FEATURES = {"image": "image"}

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE  # bytes of a picture: all of red, then green, then blue, each row by row
_BATCH = re.compile(r"(data_batch_\d{1,3}|train|test_batch|test)(\.bin)?")
_NAMES = {"fine": ("batches.meta.txt", "fine_label_names.txt"), "coarse": ("coarse_label_names.txt",)}
_PYTHON_NAMES = {"fine": (("batches.meta", "label_names"), ("meta", "fine_label_names")),
                 "coarse": (("meta", "coarse_label_names"),)}  # fmt: skip
_LARGEST_PYTHON_BYTES = 2**29  # CIFAR-100's training batch has 155 MB
_LARGEST_NAMES_BYTES = 2**20


class Settings(Base):
    """Its settings in the recipe."""

    labels: Literal["fine", "coarse"] = Field(
        default="fine", description="of CIFAR-100: its 100 classes, or the 20 coarse ones"
    )


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Find and check the batches of a folder; their rows are read when the tables are iterated."""
    from pipeline.data.source_rows import NothingThere, Source

    batches = _batches(folder)
    if not any(_part(path) == "train" for path in batches):
        raise NothingThere(
            f"{folder}: no training batches; expected data_batch_1.bin or train.bin, or the Python version's"
        )
    label_bytes = 2 if any(path.stem in ("train", "test") for path in batches) else 1
    if label_bytes == 1 and settings.labels == "coarse":
        raise DataError(f"{folder}: CIFAR-10 has no coarse labels; set data.source.settings.labels to fine")
    rows = {path: _rows(path, label_bytes) for path in batches if path.suffix == ".bin"}
    is_counted = len(rows) == len(batches)
    numbers = _numbers(folder, settings.labels, wanted.classes)
    return Source(
        rows=sum(rows.values()) if is_counted else None,
        tables=(table for path in batches for table in _tables(path, label_bytes, settings.labels, numbers)),
        test_rows=sum(rows[path] for path in batches if _part(path) == "test") if is_counted else None,
    )


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which a folder of batches is read, None if a path is none."""
    return {} if path.is_dir() and any(_part(batch) == "train" for batch in _batches(path)) else None


def _batches(folder: Path) -> list[Path]:
    from pipeline.errors import StorageError

    try:
        found = [path for path in folder.iterdir() if _BATCH.fullmatch(path.name) and path.is_file()]
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}; make it readable") from error
    for path in found:
        if path.suffix == ".bin" and path.with_suffix("") in found:
            raise DataError(f"{folder}: {path.stem} and {path.name} are both here; expected one: remove the other")
    return sorted(found, key=lambda path: (_part(path) != "train", len(path.stem), path.stem))


def _part(path: Path) -> str:
    return "test" if path.name.startswith("test") else "train"


def _rows(path: Path, label_bytes: int) -> int:
    """Return how many rows a binary batch holds, by its size."""
    size_bytes = path.stat().st_size
    row_bytes = label_bytes + _PIXELS
    if size_bytes == 0 or size_bytes % row_bytes:
        raise DataError(
            f"{path}: {size_bytes} bytes, expected a multiple of {row_bytes} (a label, then 32 × 32 × 3 values); "
            "fetch the file again"
        )
    return size_bytes // row_bytes


def _numbers(folder: Path, labels: str, classes: tuple[str, ...]) -> list[tuple[int, str | None]] | None:
    """Return for each of the source's labels its index into `classes` and, of one that is none of them, its text.

    None where the source has no names.
    """
    from pipeline.data.entries import labels_of
    from pipeline.data.file_reading import read_required
    from pipeline.data.python_batches import read_dictionary

    names: list[str] = []
    for file in _NAMES[labels]:
        if (folder / file).is_file():
            text = read_required(str(folder / file), "names of the labels", _LARGEST_NAMES_BYTES)
            names = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    for file, key in _PYTHON_NAMES[labels]:
        path = folder / file
        if path.is_file() and not names:
            found = read_dictionary(read_required(str(path), "names of the labels", _LARGEST_NAMES_BYTES), str(path))
            names = [str(name) for name in _list(found, key, path)]
    label_of = labels_of(classes)
    return [(-1 if label.number is None else label.number, label.detail) for label in map(label_of, names)] or None


def _tables(
    path: Path, label_bytes: int, labels: str, numbers: list[tuple[int, str | None]] | None
) -> Iterator[pa.Table]:
    from pipeline.data.source_rows import rows_at_once

    row = 0
    for values, pixels in (_of_binary if path.suffix == ".bin" else _of_python)(path, label_bytes, labels):
        for begin in range(0, len(values), rows_at_once(_PIXELS)):
            end = begin + rows_at_once(_PIXELS)
            yield _table(path, row + begin, values[begin:end], pixels[begin:end], numbers)
        row += len(values)


_Rows = tuple["npt.NDArray[np.int64]", "npt.NDArray[np.uint8]"]  # labels `[row]`, pixels `[row, channel, y, x]`


def _of_binary(path: Path, label_bytes: int, labels: str) -> Iterator[_Rows]:
    import numpy as np

    from pipeline.data.file_reading import open_stream
    from pipeline.data.source_rows import rows_at_once

    row_bytes, left = label_bytes + _PIXELS, _rows(path, label_bytes)
    with open_stream(str(path)) as file:
        while left:
            count = min(left, rows_at_once(_PIXELS))
            content = file.read(count * row_bytes)
            if len(content) < count * row_bytes:
                raise DataError(f"{path}: changed while it was read; run again when it is whole")
            rows = np.frombuffer(content, np.uint8).reshape(count, row_bytes)
            column = 0 if labels == "coarse" else label_bytes - 1
            yield rows[:, column].astype(np.int64), rows[:, label_bytes:].reshape(-1, 3, _SIDE, _SIDE)
            left -= count


def _of_python(path: Path, label_bytes: int, labels: str) -> Iterator[_Rows]:
    import numpy as np

    from pipeline.data.file_reading import read_required
    from pipeline.data.python_batches import Bytes, read_dictionary

    batch = read_dictionary(read_required(str(path), "a Python batch", _LARGEST_PYTHON_BYTES), str(path))
    data = batch.get("data")
    values = _list(batch, f"{labels}_labels" if label_bytes == 2 else "labels", path)
    if not isinstance(data, Bytes) or data.shape != (len(values), _PIXELS):
        shape = data.shape if isinstance(data, Bytes) else "none"
        raise DataError(f"{path}: no batch of pictures: data of {shape}, expected ({len(values)}, {_PIXELS})")
    if not all(type(value) is int and 0 <= value < 2**31 for value in values):
        raise DataError(f"{path}: a label that is no whole number")
    yield np.array(values, np.int64), np.frombuffer(data.content, np.uint8).reshape(-1, 3, _SIDE, _SIDE)


def _list(found: dict[str, Any], key: str, path: Path) -> list[Any]:
    from pipeline.errors import nearest

    if not isinstance(found.get(key), list):
        raise DataError(f"{path}: no list '{key}' in it{nearest(key, map(str, found))}")
    return list(found[key])


def _table(
    path: Path,
    row: int,
    values: npt.NDArray[np.int64],
    pixels: npt.NDArray[np.uint8],
    numbers: list[tuple[int, str | None]] | None,
) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    count = len(values)
    found: list[tuple[int, str | None]] = [(value, None) for value in values.tolist()]
    if numbers is not None:
        known = dict(enumerate(numbers))
        found = [known.get(value, (-1, f"label {value} has no name")) for value, _ in found]
    return pa.table(
        {
            "label": pa.array([label for label, _ in found], pa.int32()),
            "part": pa.repeat(_part(path), count),
            "source": pa.repeat(path.name, count),
            "row": np.arange(row, row + count),
            "problem": pa.nulls(count, pa.string()),
            "detail": pa.array([detail for _, detail in found], pa.string()),
            "image_height": np.full(count, _SIDE, np.int32),
            "image_width": np.full(count, _SIDE, np.int32),
            "image_channels": np.full(count, 3, np.int32),
            "image_mode": pa.repeat("RGB", count),
            "image_encoding": pa.repeat("raw", count),
            "image": pa.array([each.tobytes() for each in pixels.transpose(0, 2, 3, 1)], pa.binary()),
        }
    )
