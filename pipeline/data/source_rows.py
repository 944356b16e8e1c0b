"""From a source's rows to shards of raw rows: ids and digests are added here, the same way for every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.identity import RowNames, payload_digests
from pipeline.storage import shards

# Many shards give Spark parallel work, and a bound on their bytes bounds the memory of every task after this one.
ROWS_PER_SHARD = 4096
BYTES_PER_SHARD = 32 * 2**20

# What a source delivers: raw rows without ids and digests.
SOURCE_SCHEMA = pa.schema(field for field in shards.RAW_SCHEMA if field.name not in ("id", "payload_digest"))


@dataclass(frozen=True)
class Source:
    """An opened source: how many rows it declares, and its rows as tables of SOURCE_SCHEMA, read lazily."""

    rows: int
    tables: Iterable[pa.Table]


def rows_at_once(payload_bytes: int) -> int:
    """Return how many rows with payloads of this size make a shard."""
    return max(1, min(ROWS_PER_SHARD, BYTES_PER_SHARD // max(1, payload_bytes)))


def raw_shards(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of RAW_SCHEMA, one per shard, from a source's tables in their order.

    A shard ends after ROWS_PER_SHARD rows, or before it would exceed BYTES_PER_SHARD: what a shard holds depends on
    the rows alone, not on how the source's tables were cut.
    """
    names = RowNames()
    gathered: list[pa.Table] = []
    rows = size_bytes = 0
    for table in tables:
        rest = table.cast(SOURCE_SCHEMA)
        while rest.num_rows:
            fits = _rows_that_fit(rest, ROWS_PER_SHARD - rows, BYTES_PER_SHARD - size_bytes, may_be_none=rows > 0)
            taken, rest = rest.slice(0, fits), rest.slice(fits)
            gathered.append(taken)
            rows += fits
            size_bytes += _payload_bytes(taken)
            if rest.num_rows or rows == ROWS_PER_SHARD:
                yield _named(pa.concat_tables(gathered), names)
                gathered, rows, size_bytes = [], 0, 0
    if rows:
        yield _named(pa.concat_tables(gathered), names)


def _rows_that_fit(table: pa.Table, rows: int, size_bytes: int, *, may_be_none: bool) -> int:
    """Return how many leading rows fit: at least one, unless `may_be_none`, as a payload may be larger than a shard."""
    head = table.slice(0, rows)
    ends = pc.cumulative_sum(pc.cast(pc.binary_length(head["payload"]), pa.int64()).fill_null(0))
    fits = int(pc.sum(pc.less_equal(ends, size_bytes)).as_py() or 0)
    return fits if may_be_none else max(1, fits)


def _payload_bytes(table: pa.Table) -> int:
    return int(pc.sum(pc.cast(pc.binary_length(table["payload"]), pa.int64())).as_py() or 0)


def _named(table: pa.Table, names: RowNames) -> pa.Table:
    digests = payload_digests(table)
    ids = names.names(table["part"].to_pylist(), table["label"].to_pylist(), digests)
    named = table.append_column("id", pa.array(ids)).append_column("payload_digest", pa.array(digests))
    return named.select(shards.RAW_SCHEMA.names).cast(shards.RAW_SCHEMA)
