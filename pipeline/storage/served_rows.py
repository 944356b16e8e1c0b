"""`data/served`: the validation and the test rows as a served model takes them, in the order of the prepared ones.

It has the features whose prepared values depend on what was learned. A model that has learned something else, as a
champion may have, is asked with these, through what is fitted inside it. All other features are served as prepared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.records.manifest import Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import Columns, iter_tables

_ID = "id"
NO_TEXT = ""  # what stands for a missing text; for a missing number NaN does


def read_served(folder: Path, ids: Sequence[str]) -> Columns:
    """Return raw values by feature, `[row]` float64 or str each, of a part whose rows are `ids`, or begin with them.

    Raises DataError if it has others.
    """
    manifest = read_manifest(folder)
    names = [name for name in manifest.columns if name != _ID]
    tables = list(_first(iter_tables(folder, [_ID, *names], verify=False), len(ids)))
    if [row_id for table in tables for row_id in table[_ID].to_pylist()] != list(ids):
        raise DataError(f"{folder}: its rows are not those of the prepared part; run stage normalize again")
    return {name: _values([table[name] for table in tables], manifest, name) for name in names}


def _first(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    for table in tables:
        yield table.slice(0, rows)
        rows -= table.num_rows
        if rows <= 0:
            return


def _values(columns: list[pa.ChunkedArray], manifest: Manifest, name: str) -> npt.NDArray[Any]:
    if manifest.columns[name] == str(pa.string()):
        texts = [text for column in columns for text in column.fill_null(NO_TEXT).to_pylist()]
        return np.array(texts, np.object_)
    parts = [np.frombuffer(_filled(chunk), np.float64) for column in columns for chunk in column.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.empty(0, np.float64)


def _filled(chunk: pa.Array) -> bytes:
    # Arrow's own to_numpy imports pandas, which is slow.
    whole = chunk.fill_null(float("nan"))
    start = whole.offset * 8
    return memoryview(whole.buffers()[1])[start : start + len(whole) * 8].tobytes()
