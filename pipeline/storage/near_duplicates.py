"""The data set of near-duplicates: rows of a later part that look nearly like a row of an earlier one.

The data phase writes it; evaluation and the page read it. A row of it is a row of a later part with the nearest one of
an earlier part. In its manifest, `counts` says how many there are between each two parts, or why none was looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

SCHEMA = pa.schema(
    [
        *(("part", pa.string()), ("row", pa.int64()), ("id", pa.string()), ("label", pa.int32())),
        *(("earlier_part", pa.string()), ("earlier_row", pa.int64()), ("earlier_id", pa.string())),
        *(("earlier_label", pa.int32()), ("bits", pa.int32()), ("likeness", pa.float64())),
    ]
)
LEARNED_PART, JUDGED_PART = "train", "test"
_BETWEEN, _WHY_NOT, _BITS, _LIKENESS = "between", "why_not", "bits", "likeness"


class Between(NamedTuple):
    """How many rows of a part have a near-duplicate in an earlier one, and of how many."""

    part: str
    earlier: str
    rows: int
    of: int


@dataclass(frozen=True)
class NearDuplicates:
    """The rows, as SCHEMA names their values, how many there are between the parts, and why none was looked for.

    `why_not` is "" if they were. `bits` is how many of 64 may differ, `likeness` the least: the limits by which they
    were found.
    """

    rows: tuple[Mapping[str, Any], ...]
    between: tuple[Between, ...]
    why_not: str
    bits: int
    likeness: float

    def of(self, part: str, earlier: str) -> list[Mapping[str, Any]]:
        """Return the rows of a part that have a near-duplicate in an earlier one."""
        return [row for row in self.rows if (row["part"], row["earlier_part"]) == (part, earlier)]


def write_near_duplicates(
    folder: Path,
    tables: Sequence[pa.Table],
    between: Iterable[Between],
    *,
    limits: tuple[int, float] = (0, 1.0),
    why_not: str = "",
) -> tuple[Between, ...]:
    """Write the data set into a folder; return how many rows there are between the parts. `limits`: bits, likeness."""
    counted = tuple(between)
    entry = shards.write_shard(folder, 0, SCHEMA, tables)
    counts = {_BETWEEN: [each._asdict() for each in counted], _WHY_NOT: why_not, _BITS: limits[0], _LIKENESS: limits[1]}
    shards.finish_dataset(folder, [entry], SCHEMA, counts=counts)
    return counted


def read_near_duplicates(folder: Path, *, verify: bool = True) -> NearDuplicates:
    """Read the data set; raise DataError if it is another one, or its bytes do not match its manifest."""
    manifest = read_manifest(folder, verify=verify)
    counts = manifest.counts
    try:
        if manifest.columns != shards.describe_schema(SCHEMA):
            raise ValueError("it has other columns")
        tables = shards.iter_tables(folder, SCHEMA.names, verify=False)
        return NearDuplicates(
            rows=tuple(row for table in tables for row in table.to_pylist()),
            between=tuple(_between(**each) for each in counts[_BETWEEN]),
            why_not=str(counts[_WHY_NOT]),
            bits=int(counts[_BITS]),
            likeness=float(counts[_LIKENESS]),
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise DataError(f"{folder}: not near-duplicates ({error}); run `dvc repro` to make them again") from error


def _between(part: Any, earlier: Any, rows: Any, of: Any) -> Between:
    if not (isinstance(part, str) and isinstance(earlier, str) and type(rows) is type(of) is int):
        raise ValueError(f"between: {rows!r} of {of!r} rows of {part!r} and {earlier!r}")
    return Between(part, earlier, rows, of)
