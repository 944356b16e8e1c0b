"""From a source's rows to shards of raw rows: ids and digests are added here, the same way for every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.feature_kinds import OF_CLASSES, content_digests, raw_schema, source_schema, working_bytes
from pipeline.data.identity import RowNames
from pipeline.errors import DataError, nearest
from pipeline.records.feature import FeatureSpec
from pipeline.storage.row_columns import RowColumns

# Many shards give Spark parallel work, and a bound on their bytes bounds the memory of every task after this one.
ROWS_PER_SHARD = 4096  # at least: of small rows a shard has as many as fill SMALL_BYTES_PER_SHARD
MOST_ROWS_PER_SHARD = 2**16
SMALL_BYTES_PER_SHARD = 3 * 2**20
BYTES_PER_SHARD = 32 * 2**20
CLEAN_BYTES_PER_SHARD = 128 * 2**20  # what its rows become, decoded
_MAY_BE_ABSENT = ("problem", "detail")


@dataclass(frozen=True)
class Source:
    """An opened source: how many rows it declares, and its rows as tables, read lazily.

    `test_rows` is how many of them are test rows of its own. Either is None if it does not know before it reads them.
    A table has the raw columns of each feature that the source delivers, and of each row:

        label    its class, from 0; null if it has none (unlabelled), below 0 if it is none of the declared ones; or a
                 number, float64, where no classes are declared
        part     train, validation or test
        source   the file that it stands in, relative to the source's folder
        row      its number there
        problem  why the row cannot be used, one of `problems.PROBLEMS`, null if it can; else its values are null
        detail   what exactly, for people; or the text of a label that is none of the declared ones

    A source without the last two has no problems. Where the recipe gives roles to columns, a table has those of
    `storage/row_columns.py`, too.
    """

    rows: int | None
    tables: Iterable[pa.Table]
    test_rows: int | None = None


class NothingThere(DataError):
    """A source holds nothing of its format: perhaps something of another."""


def require_delivered(source: Source, rows: int) -> None:
    """Raise DataError unless a source has delivered as many rows as it declared, if it did."""
    if source.rows is not None and rows != source.rows:
        raise DataError(
            f"data.source: declared {source.rows} rows and delivered {rows}; did its files change? run again"
        )


def rows_at_once(payload_bytes: int) -> int:
    """Return how many rows with payloads of this size make a shard."""
    return max(1, min(ROWS_PER_SHARD, BYTES_PER_SHARD // max(1, payload_bytes)))


def rows_per_shard(features: Sequence[FeatureSpec], small_rows: int | None = None) -> int:
    """Return how many rows a shard has at most, by the bytes that they take once they are decoded."""
    clean_bytes = working_bytes(features)
    small = min(MOST_ROWS_PER_SHARD if small_rows is None else small_rows, SMALL_BYTES_PER_SHARD // clean_bytes)
    return max(1, min(max(ROWS_PER_SHARD, small), CLEAN_BYTES_PER_SHARD // clean_bytes))


def raw_shards(
    tables: Iterable[pa.Table],
    features: Sequence[FeatureSpec],
    own: RowColumns = OF_CLASSES,
    *,
    small_rows: int | None = None,
) -> Iterator[pa.Table]:
    """Yield tables of `raw_schema(features)`, one per shard, from a source's tables in their order.

    A shard ends after ROWS_PER_SHARD rows, or once its decoded values fill SMALL_BYTES_PER_SHARD if that comes later,
    or before it would exceed BYTES_PER_SHARD, or its decoded values CLEAN_BYTES_PER_SHARD: what a shard holds depends
    on the rows alone, not on how the source's tables were cut. However small its rows are, it has `small_rows` at most
    (None: MOST_ROWS_PER_SHARD), or ROWS_PER_SHARD if that is more.
    Raises DataError if a column is missing or of another type.
    """
    most = rows_per_shard(features, small_rows)
    schema = source_schema(features, own)
    names = RowNames()
    gathered: list[pa.Table] = []
    rows = size_bytes = 0
    for table in tables:
        rest = _of_schema(table, schema)
        while rest.num_rows:
            fits = _rows_that_fit(rest, most - rows, BYTES_PER_SHARD - size_bytes, may_be_none=rows > 0)
            taken, rest = rest.slice(0, fits), rest.slice(fits)
            gathered.append(taken)
            rows += fits
            size_bytes += int(pc.sum(_payload_bytes(taken)).as_py() or 0)
            if rest.num_rows or rows == most:
                yield _named(pa.concat_tables(gathered), features, own, names)
                gathered, rows, size_bytes = [], 0, 0
    if rows:
        yield _named(pa.concat_tables(gathered), features, own, names)


def _of_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    for name in schema.names:
        if name in _MAY_BE_ABSENT and name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, schema.field(name).type))
        if name not in table.column_names:
            raise DataError(f"data.source: delivers no column '{name}'{nearest(name, table.column_names)}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"data.source: delivers a column of another type than declared: {error}") from error


def _rows_that_fit(table: pa.Table, rows: int, size_bytes: int, *, may_be_none: bool) -> int:
    """Return how many leading rows fit: at least one, unless `may_be_none`, as a payload may be larger than a shard."""
    ends = pc.cumulative_sum(_payload_bytes(table.slice(0, rows)))
    fits = int(pc.sum(pc.less_equal(ends, size_bytes)).as_py() or 0)
    return fits if may_be_none else max(1, fits)


def _payload_bytes(table: pa.Table) -> pa.Array:
    """Return the bytes of each row's payloads together, `[row] int64`."""
    size = pa.array([0] * table.num_rows, pa.int64())
    for column in (table[field.name] for field in table.schema if pa.types.is_binary(field.type)):
        size = pc.add(size, pc.cast(pc.binary_length(column), pa.int64()).fill_null(0))
    return size


def _named(table: pa.Table, features: Sequence[FeatureSpec], own: RowColumns, names: RowNames) -> pa.Table:
    digests = content_digests(features, table, own)
    ids = names.names(table["part"], table["label"], digests)
    named = table.append_column("id", ids).append_column("content_digest", digests)
    schema = raw_schema(features, own)
    return named.select(schema.names).cast(schema)
