"""Raw values by feature in files: `NAME.npy`, or of texts `NAME.json`, a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.storage.shards import Columns


def write_columns(folder: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write raw values, one file a feature; texts as a list: in an array each would take the longest one's length."""
    for name, values in columns.items():
        if values.dtype == np.object_:
            (folder / f"{name}.json").write_text(json.dumps(values.tolist()))
        else:
            np.save(folder / f"{name}.npy", values, allow_pickle=False)


def read_column(folder: Path, name: str, dtype: str) -> npt.NDArray[Any]:
    """Read the values of a feature, `[row, …]`; texts are Python's. Raises DataError if they are not there."""
    return read_texts(folder / f"{name}.json") if dtype == "string" else read_array(folder / f"{name}.npy")


def read_columns(folder: Path) -> Columns:
    """Read all features of a folder."""
    return {
        path.stem: read_texts(path) if path.suffix == ".json" else read_array(path) for path in sorted(folder.iterdir())
    }


def read_texts(path: Path) -> npt.NDArray[Any]:
    """Read a list of texts, `[row]`; raise DataError if the file is none."""
    try:
        texts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no list of texts: {error}; export it again") from error
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path}: no list of texts; export it again")
    values = np.empty(len(texts), np.object_)
    values[:] = texts
    return values


def read_array(path: Path) -> npt.NDArray[Any]:
    """Read an array; raise DataError if the file is none."""
    try:
        values: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: no array: {error}; export it again") from error
    return values
