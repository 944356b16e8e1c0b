"""From a table's records, as texts, to the rows of a source: features, target, roles, times and joins.

A source of tables reads its format and yields blocks: some records of one file, every value a text as it stands there,
and null for one that is not there. What they mean is the same for all: `recipe/table_source.py` has the settings.

    def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
        return Source(rows=None, tables=source_tables(_blocks(…), settings, wanted, folder))

A record that cannot be read is a row as well: null in every column, with its problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.class_folders import PART_FOLDERS
from pipeline.data.problems import BAD_BYTES, HOLDS_NUL, KNOWN_AFTERWARDS, NO_GROUP, NO_ID, NO_SUCH_PART, NO_TIME
from pipeline.data.row_faults import Faults, Mask
from pipeline.data.table_joins import Joined
from pipeline.data.table_pictures import picture_tables
from pipeline.data.table_targets import targets
from pipeline.data.table_times import Times, times_of
from pipeline.data.table_weights import weights
from pipeline.data.wanted import Wanted
from pipeline.errors import Bug, DataError, nearest
from pipeline.recipe.recipe import slice_column
from pipeline.recipe.table_source import AFTER, BEFORE, TableSettings
from pipeline.storage.row_columns import WEIGHT

PICTURE = "image"  # the one kind whose raw columns are not the text itself
_SHOWN = 100  # characters of a value


class Block(NamedTuple):
    """Records of one file, in their order.

    `table` has columns of strings by the names that they have in the source: at least `needed_columns`. `rows` are the
    records' numbers there, from 1, `[row] int64`. `problems` and `details` are `[row] string`, or None: no record has
    any. They stand beside the table, as its columns may have any name.
    """

    file: str
    table: pa.Table
    rows: pa.Array
    problems: pa.Array | None = None
    details: pa.Array | None = None


def needed_columns(settings: TableSettings, wanted: Wanted) -> dict[str, str]:
    """Return the columns that blocks must have, each with what needs it, as the recipe's key.

    The columns that a join brings are not among them, nor a name that `time.columns` make up.
    """
    needed: dict[str, str] = {}
    for feature in wanted.features:
        needed.setdefault(feature.column, f"data.features.{feature.name}")
        group = settings.group_of(feature.column)
        if group not in (BEFORE, AFTER, None):
            needed.setdefault(str(group), "data.source.settings.known_at")
    for name in settings.joined:
        needed.pop(name, None)
    roles = wanted.roles
    if settings.target is not None:
        needed.setdefault(settings.target.column, "data.source.settings.target")
    named = (("id", roles.id), ("group", roles.group), ("weight", roles.weight))
    for key, column in (*named, *(("slices", each) for each in roles.slices)):
        if column is not None:
            needed.setdefault(column, f"data.roles.{key}")
    if roles.time is not None:
        for column in settings.time.columns or (roles.time,):
            needed.setdefault(column, "data.source.settings.time" if settings.time.columns else "data.roles.time")
    if settings.part is not None:
        needed.setdefault(settings.part, "data.source.settings.part")
    for join in settings.joins:
        for column in join.left_key or join.key:
            needed.setdefault(column, f"data.source.settings.joins, left_key of {join.name}")
    return needed


def source_tables(blocks: Iterator[Block], settings: TableSettings, wanted: Wanted, folder: Path) -> Iterator[pa.Table]:
    """Yield the tables of a source, as `source_rows.Source` has them, from its blocks in their order.

    Beside the features' raw columns they have `key`, `group`, `time` (timestamp[us, UTC]) and `row_weight` (float64)
    where a role names them, and `slice_…` for each of its slices. `folder` is where paths of pictures and of joined
    tables begin. Raises DataError if a column is not there, StorageError or DataError for a second table that cannot be
    read.
    """
    reader = _Reader(settings, wanted, folder)
    for block in blocks:
        yield from reader.tables(block)


def require_columns(file: str, names: Sequence[str], settings: TableSettings, wanted: Wanted, doubt: str = "") -> None:
    """Raise DataError unless a file's columns have what is needed, and no name that settings give to another.

    `doubt` is what may be wrong if one is missing, as a clause.
    """
    for column, key in needed_columns(settings, wanted).items():
        if column not in names:
            raise DataError(f"{file}: has no column {column!r}, which {key} names{nearest(column, names)}{doubt}")
    for name in sorted(settings.joined.intersection(names)):
        raise DataError(
            f"{file}: has a column {name!r}, and so has a join of data.source.settings.joins; call it by another name "
            "there"
        )
    time, columns = wanted.roles.time, settings.time.columns
    if columns and time in names and time not in columns:
        raise DataError(
            f"{file}: has a column {time!r}, and data.roles.time means the one that data.source.settings.time.columns "
            "make up; call it by another name"
        )


class _Reader:
    def __init__(self, settings: TableSettings, wanted: Wanted, folder: Path) -> None:
        self._settings, self._wanted, self._folder = settings, wanted, folder
        self._needed = needed_columns(settings, wanted)
        self._joined = [Joined(join, folder, settings.missing) for join in settings.joins]
        self._missing = pa.array(settings.missing, pa.string())
        self._checked: tuple[str, ...] = ()

    def tables(self, block: Block) -> Iterator[pa.Table]:
        self._require_columns(block)
        wanted, settings, rows = self._wanted, self._settings, block.table.num_rows
        faults = Faults(rows, block.problems, block.details)
        texts = {name: self._read(block.table[name], name, faults) for name in self._needed}
        made = {
            "label": self._labels(texts, rows, faults),
            "part": self._parts(texts, rows, faults),
            "source": pa.repeat(pa.scalar(block.file, pa.string()), rows),
            "row": block.rows.cast(pa.int64()),
        }
        made |= self._roles(texts, faults)
        time = None
        if wanted.roles.time is not None:
            time = self._time(texts, faults)
            made["time"] = time.values
            for joined in self._joined:
                texts |= joined.columns(texts, time.values)
            self._require_known(texts, time, faults)
        features = {feature.name: (feature.kind, texts[feature.column]) for feature in wanted.features}
        pictures = {name: paths for name, (kind, paths) in features.items() if kind == PICTURE}
        values = {name: column for name, (kind, column) in features.items() if kind != PICTURE}
        if not pictures:
            yield _finished(made, values, faults)
            return
        begin = 0
        for end, columns in picture_tables(pictures, faults, self._folder, settings.largest_file_mib * 2**20):
            piece = slice(begin, end)
            rest = {name: column[piece] for name, column in (*made.items(), *values.items())}
            in_order = {name: rest[name] for name in made}, {name: rest[name] for name in values} | columns
            yield _finished(*in_order, faults.sliced(begin, end))
            begin = end

    def _require_columns(self, block: Block) -> None:
        names = tuple(block.table.column_names)
        if names != self._checked:
            require_columns(block.file, names, self._settings, self._wanted)
            self._checked = names

    def _read(self, column: pa.ChunkedArray, name: str, faults: Faults) -> pa.Array:
        """Return a column's texts, null where a value is missing, or is no text that a row may have."""
        if not pa.types.is_string(column.type):
            raise Bug(f"data.source: column {name!r} is delivered as {column.type}, not as string")
        texts = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        data = texts.buffers()[2]
        content = b"" if data is None else data.to_pybytes()
        if not content.isascii():
            texts = _without(texts, _no_text(texts), name, BAD_BYTES, faults)
        if b"\0" in content:
            texts = _without(texts, _mask(pc.match_substring(texts, "\0")), name, HOLDS_NUL, faults)
        is_missing = (
            pc.is_in(texts, value_set=self._missing) if len(self._missing) > 1 else _equal(texts, self._missing)
        )
        if is_missing is not None and pc.any(is_missing).as_py():
            texts = pc.if_else(is_missing, pa.scalar(None, pa.string()), texts)
        return texts

    def _labels(self, texts: dict[str, pa.Array], rows: int, faults: Faults) -> pa.Array:
        target, classes = self._settings.target, self._wanted.classes
        if target is None:
            return pa.nulls(rows, pa.int32() if classes else pa.float64())
        return targets(texts[target.column], classes, target.edges, faults, target.decimal)

    def _parts(self, texts: dict[str, pa.Array], rows: int, faults: Faults) -> pa.Array:
        if self._settings.part is None:
            return pa.repeat(pa.scalar("train", pa.string()), rows)
        encoded = texts[self._settings.part].dictionary_encode()
        distinct = [PART_FOLDERS.get(text.strip().lower()) for text in encoded.dictionary.to_pylist()]
        parts = pa.array(distinct, pa.string()).take(encoded.indices)
        wrong = _mask(pc.and_(pc.is_null(parts), pc.is_valid(texts[self._settings.part])))
        shown = texts[self._settings.part]
        faults.add(
            wrong, NO_SUCH_PART, lambda row: f"{shown[row].as_py()[:_SHOWN]!r} is none of train, validation, test"
        )
        return parts.fill_null("train")

    def _roles(self, texts: dict[str, pa.Array], faults: Faults) -> dict[str, pa.Array]:
        roles, made = self._wanted.roles, dict[str, pa.Array]()
        for name, column, problem in (("key", roles.id, NO_ID), ("group", roles.group, NO_GROUP)):
            if column is not None:
                made[name] = texts[column]
                self._require_there(texts[column], column, problem, faults)
        if roles.weight is not None:
            made[WEIGHT] = weights(texts[roles.weight], roles.weight, faults)
        return made | {slice_column(name): texts[name] for name in roles.slices}

    def _require_there(self, texts: pa.Array, column: str, problem: str, faults: Faults) -> None:
        if texts.null_count:
            faults.add(_mask(pc.is_null(texts)), problem, lambda _: f"column {column!r} is empty")

    def _time(self, texts: dict[str, pa.Array], faults: Faults) -> Times:
        role = str(self._wanted.roles.time)
        columns = self._settings.time.columns or (role,)
        time = times_of([texts[column] for column in columns], self._settings.time)
        faults.add_each(time.wrong_rows, time.told)
        faults.add(time.is_missing, NO_TIME, lambda _: f"column {', '.join(columns)!r} is empty")
        return time

    def _require_known(self, texts: dict[str, pa.Array], time: Times, faults: Faults) -> None:
        """Give a row a problem for a value that was known only after its time."""
        known: dict[str, Times] = {}
        for feature in self._wanted.features:
            group = self._settings.group_of(feature.column)
            if group is None or group in (BEFORE, AFTER):
                continue
            if group not in known:
                known[group] = times_of([texts[group]], self._settings.time.model_copy(update={"columns": ()}))
            values, its = texts[feature.column], known[group]
            is_wrong = np.zeros(len(values), np.bool_)
            is_wrong[its.wrong_rows] = True
            is_there = _mask(pc.is_valid(values))
            faults.add_each(np.flatnonzero(is_wrong & is_there), its.told)
            was_known = _mask(pc.less_equal(its.values, time.values))
            has_time = _mask(pc.is_valid(time.values))
            _add_known_afterwards(faults, is_there & has_time & ~was_known, feature.column, group, texts[group])


def _add_known_afterwards(faults: Faults, at: Mask, column: str, group: str, texts: pa.Array) -> None:
    def told(row: int) -> str:
        text = texts[row].as_py()
        return f"{column!r} is known at {group!r}: {'nobody knows when' if text is None else text[:_SHOWN]}"

    faults.add(at, KNOWN_AFTERWARDS, told)


def _finished(made: dict[str, pa.Array], values: dict[str, pa.Array], faults: Faults) -> pa.Table:
    """Return a table of rows: of one with a problem, the features' values are null."""
    at = faults.at
    if at is not None:
        hidden = pa.array(at)
        values = {name: pc.if_else(hidden, pa.scalar(None, column.type), column) for name, column in values.items()}
    problem, detail = faults.columns()
    return pa.table({**made, "problem": problem, "detail": detail, **values})


def _equal(texts: pa.Array, missing: pa.Array) -> pa.Array | None:
    return pc.equal(texts, missing[0]) if len(missing) else None


def _without(texts: pa.Array, at: Mask | None, name: str, problem: str, faults: Faults) -> pa.Array:
    """Return texts with null where `at` is true: there, the row has the problem."""
    if at is None or not at.any():
        return texts
    faults.add(at, problem, lambda _: f"in column {name!r}")
    return pa.array([None if is_wrong else text.as_py() for text, is_wrong in zip(texts, at, strict=True)], pa.string())


def _no_text(texts: pa.Array) -> Mask | None:
    """Return which values are no UTF-8; None if all are."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = texts.cast(pa.binary()).to_pylist()
        return np.array([value is not None and not _is_text(value) for value in values], np.bool_)
    return None


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = column.fill_null(False).to_numpy(zero_copy_only=False)
    return found
