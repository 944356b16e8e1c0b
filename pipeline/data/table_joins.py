"""Second tables, joined as of a time: of each key, the last row that was there at a lag before each row's time.

What became known later than that is never seen. A row of the second table is at most `tolerance_minutes` old when the
row is asked about, and at least `lag_minutes`. Two of its rows of the same key and time are refused, as one would have
to be chosen; so is one that cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.table_times import times_of
from pipeline.errors import DataError, nearest
from pipeline.recipe.table_source import Join

Numbers = npt.NDArray[np.int64]
_MINUTE = 60_000_000  # microseconds
_BETWEEN = "\0"  # the texts of a key: no value holds it


class Joined:
    """The second table of a join: it is read when it is asked for the first time, and stays in memory."""

    def __init__(self, join: Join, folder: Path, missing: tuple[str, ...]) -> None:
        """`folder` is what the join's path is relative to, `missing` are the texts of missing values."""
        self._join, self._folder = join, folder
        self._missing = pa.array(missing, pa.string())
        self._table: _Sorted | None = None

    def columns(self, texts: Mapping[str, pa.Array], times: pa.Array) -> dict[str, pa.Array]:
        """Return the joined columns of rows, `[row] string` each, from the rows' columns and times."""
        if self._table is None:
            self._table = _read(self._join, self._folder, self._missing)
        join, table = self._join, self._table
        keys = _keys([texts[column] for column in join.left_key or join.key])
        places = table.places(keys, times, join.lag_minutes * _MINUTE, join.tolerance_minutes * _MINUTE)
        return {join.columns[name]: column.take(places) for name, column in table.values.items()}


class _Sorted:
    """A table sorted by the number of its key, and by time."""

    def __init__(self, keys: pa.Array, times: Numbers, values: Mapping[str, pa.Array]) -> None:
        encoded = keys.dictionary_encode()
        numbers = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self.order = np.lexsort((times, numbers))
        self.distinct = encoded.dictionary
        self._numbers, self._times = numbers[self.order], times[self.order]
        self._moments = np.unique(times)
        self._ranks = self._numbers * (len(self._moments) + 1) + np.searchsorted(self._moments, self._times) + 1
        self.values = {name: column.take(pa.array(self.order)) for name, column in values.items()}

    def twice(self) -> tuple[int, int] | None:
        """Return the numbers of two given rows that have the same key and time; None if there are none."""
        same = np.flatnonzero(self._ranks[1:] == self._ranks[:-1])
        return None if not len(same) else (int(self.order[same[0]]), int(self.order[same[0] + 1]))

    def places(self, keys: pa.Array, times: pa.Array, lag: int, tolerance: int) -> pa.Array:
        """Return of each key and time the place of its row, `[row] int64`: null where there is none."""
        numbers = pc.index_in(keys, value_set=self.distinct)
        is_there = pc.and_(pc.is_valid(numbers), pc.is_valid(times)).to_numpy(zero_copy_only=False)
        is_there &= pc.is_valid(keys).to_numpy(zero_copy_only=False)
        number = numbers.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        moment = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        rank = number * (len(self._moments) + 1) + np.searchsorted(self._moments, moment - lag, side="right")
        place = np.searchsorted(self._ranks, rank, side="right") - 1
        at = np.maximum(place, 0)
        if len(self._ranks):
            is_there &= (place >= 0) & (self._numbers[at] == number) & (self._times[at] >= moment - tolerance)
        else:
            is_there &= False
        return pa.array(at, pa.int64(), mask=~is_there)


def _path(join: Join, folder: Path) -> Path:
    """Return the path of a join's file; raise DataError if it leads out of the folder."""
    path = folder / join.path
    root, real = os.path.realpath(folder), os.path.realpath(path)
    if not os.path.lexists(path):
        raise DataError(
            f"{path} does not exist; data.source.settings.joins, {join.name}, path is relative to data.path"
        )
    if os.path.commonpath([root, real]) != root:
        raise DataError(f"data.source.settings.joins, {join.name}: path {join.path!r} leads out of {folder}")
    return Path(real)


def _keys(columns: list[pa.Array]) -> pa.Array:
    """Return one text for each row's key; null where a part of it is."""
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _BETWEEN)


def _read(join: Join, folder: Path, missing: pa.Array) -> _Sorted:
    from pipeline.data.csv_blocks import OpenedCsv
    from pipeline.data.delimited_files import Bounds

    needed = dict.fromkeys([*join.key, *join.time.columns, *join.columns])
    bounds = Bounds(join.largest_mib * 2**20, f"largest_mib of join {join.name}", join.largest_ratio)
    opened = OpenedCsv(_path(join, folder), join.path, join, bounds)
    for column in needed:
        if column not in opened.names:
            raise DataError(
                f"{join.path}: has no column {column!r}, which data.source.settings.joins, {join.name} names"
                f"{nearest(column, opened.names)}{opened.doubt}"
            )
    tables, rows = [], []
    for block in opened.blocks(list(needed)):
        if block.problems is not None and block.problems.null_count < len(block.problems):
            at = int(pc.index(pc.is_valid(block.problems), pa.scalar(True)).as_py())
            detail = f": {block.details[at]}" if block.details is not None else ""
            raise DataError(f"{join.path}: row {block.rows[at]}: {block.problems[at]}{detail}; repair it")
        tables.append(block.table)
        rows.append(block.rows)
    table, numbers = pa.concat_tables(tables).combine_chunks(), pa.chunked_array(rows).combine_chunks()
    texts = {name: _without(table[name].combine_chunks(), missing) for name in needed}
    times = times_of([texts[column] for column in join.time.columns], join.time)
    for row in times.wrong_rows[:1].tolist():
        problem, detail = times.told(row)
        raise DataError(f"{join.path}: row {numbers[row]}: {problem}: {detail}; repair it")
    if times.values.null_count:
        row = int(pc.index(pc.is_null(times.values), pa.scalar(True)).as_py())
        raise DataError(f"{join.path}: row {numbers[row]}: has no time; repair it")
    keys = _keys([texts[column] for column in join.key])
    if keys.null_count:
        row = int(pc.index(pc.is_null(keys), pa.scalar(True)).as_py())
        raise DataError(f"{join.path}: row {numbers[row]}: has no key; repair it")
    moments = times.values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    found = _Sorted(keys, moments, {name: texts[name] for name in join.columns})
    if same := found.twice():
        first, second = sorted(same)
        key = ", ".join(str(texts[column][first]) for column in join.key)
        raise DataError(
            f"{join.path}: rows {numbers[first]} and {numbers[second]} are both of {key!r} at {times.text(first)}: it "
            "cannot be told which of them was there; leave one"
        )
    return found


def _without(texts: pa.Array, missing: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(texts, value_set=missing), pa.scalar(None, pa.string()), texts)
