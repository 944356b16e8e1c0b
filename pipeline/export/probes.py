"""Rows that test rows do not hold and users send: images of other sizes, missing numbers, empty and foreign texts.

A form may answer every test row as the SavedModel does and yet be wrong: converted to ONNX, images of the prepared size
never reach the resizing, and numbers that are there never the filling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.export.forms import Inputs
from pipeline.storage.shards import Columns

_ROWS = 16
_OUTSIDE = (np.nan, 0.0, -1e6, 1e6)
_FOREIGN = ("", " ", "שלום עולם", "a" * 300, "\N{GRINNING FACE} ﬁ Ǆ")


def probes(rows: Columns, inputs: Inputs) -> dict[str, Columns]:
    """Return sets of rows by name, made of the first of `rows`; `inputs` are shape and dtype of raw values."""
    first = {name: values[:_ROWS] for name, values in rows.items()}
    found = {}
    if any(None in shape for shape, _ in inputs.values()):
        for name, change in (("smaller", _smaller), ("larger", _larger)):
            found[name] = {key: change(values) if None in inputs[key][0] else values for key, values in first.items()}
    numbers = [name for name, (_, dtype) in inputs.items() if dtype.startswith("float")]
    if numbers:
        found["missing"] = _missing(rows, numbers)
    if any(dtype == "string" for _, dtype in inputs.values()):
        found["foreign"] = {
            key: _foreign(values) if inputs[key][1] == "string" else values for key, values in first.items()
        }
    return found


def _smaller(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cut images `[row, height, width, channel]`, so that each side grows, by different shares."""
    return np.ascontiguousarray(images[:, : max(1, images.shape[1] * 2 // 3), : max(1, images.shape[2] * 4 // 5)])


def _larger(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.repeat(np.repeat(images, 2, axis=1), 3, axis=2)[:, :, 1:]


def _missing(rows: Columns, numbers: list[str]) -> Columns:
    """Replace numbers, each in rows of its own where the others stay: by none, and by some that are far outside."""
    count, every = len(next(iter(rows.values()))), len(numbers) + 1
    places = np.arange(len(_OUTSIDE) * every) % count
    changed = {name: values[places] for name, values in rows.items()}
    for number, name in enumerate(numbers):
        values = changed[name]
        values[number::every] = np.array(_OUTSIDE).reshape(-1, *[1] * (values.ndim - 1))
    return changed


def _foreign(texts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    changed = texts.copy()
    changed[::2] = np.resize(np.array(_FOREIGN, np.object_), len(changed[::2]))
    return changed
