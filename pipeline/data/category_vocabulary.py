"""The vocabulary of a column of categories, and the index of each category in it: 0 is none of it, 1 the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.value_counts import ValueCounts, added
from pipeline.errors import DataError


def learned(name: str, settings: Mapping[str, Any], counts: ValueCounts) -> dict[str, Any]:
    """Return the `vocabulary` of the training part, the most frequent first, and what `fill`s a missing value.

    Raises DataError, led by the feature's name, if no category gets an index, or too many were to.
    """
    if not len(counts.values):
        raise DataError(
            f"feature {name}: the training part has no value in column {settings['column'] or name}; "
            "check the source, or take the feature out of data.features"
        )
    fill = settings["fill"]
    if settings["missing"] == "mode":
        fill = counts.values[int(np.argmax(counts.counts))].as_py()  # the values rise: of several the first
    if fill is not None and counts.missing:
        filled = ValueCounts(pa.array([fill]), np.array([counts.missing], np.int64), 0)
        counts = added([counts, filled], counts.values.type)
    rows, most, at_least = counts.counts, settings["most"], settings["at_least"]
    order = np.argsort(-rows, kind="stable")
    chosen = order[rows[order] >= at_least][:most]
    key = f"data.features.{name}.settings"
    if not len(chosen):
        raise DataError(
            f"feature {name}: no category has {at_least} rows in the training part, the most frequent has "
            f"{rows.max()}; lower {key}.at_least"
        )
    if settings["unknown"] == "reject" and len(chosen) < len(rows):
        raise DataError(
            f"feature {name}: the training part has {len(rows)} categories, {key}.most gives {most} of them an index, "
            "and unknown: reject needs one for each; raise it, or set unknown: index"
        )
    return {"vocabulary": counts.values.take(pa.array(chosen)).to_pylist(), "fill": fill}


def indices(fitted: Mapping[str, Any], column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int32]:
    """Return the index of each category, `[row] int32`; null is a missing one."""
    filled = column if fitted["fill"] is None else column.fill_null(fitted["fill"])
    found = pc.index_in(filled, pa.array(fitted["vocabulary"], pa.string()), skip_nulls=True)
    places: npt.NDArray[np.int32] = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return places + np.int32(1)
