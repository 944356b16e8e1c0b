"""Reads columns of Parquet files as text, and says of which types that can be done without a doubt.

Whole numbers in digits; other numbers by the shortest text that is the same number in their width (0.1, 1e-7 …, nan,
inf); decimals with their scale; true and false; dates, times and moments as ISO 8601 writes them, moments with a zone
in UTC; strings as they are. A list, a struct, a map, bytes, a span of time or an extension type has no such text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import DataError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 4096
_PIECE_BYTES = 32 * 2**20
_BUFFER_BYTES = 2**20  # of a column that is read: not all of a row group's at once
_EXTENSION = b"ARROW:extension:name"  # of an extension type that pyarrow does not know


class ParquetFile(NamedTuple):
    """A file whose footer has been read: its path, how many rows it has, and the kind of each column that is wanted."""

    path: Path
    rows: int
    names: tuple[str, ...]
    kinds: dict[str, str]


def names_with_text(path: Path) -> list[str]:
    """Return the columns of a file whose values have a text, in their order."""
    with _opened(path) as file:
        names = file.schema_arrow.names
    found = []
    for name in names:
        try:
            look_at(path, [name])
        except DataError:
            continue  # nested, or of a type of its own: no feature can be made of it
        found.append(name)
    return found


def look_at(path: Path, wanted: Iterable[str]) -> ParquetFile:
    """Read a file's footer; raise DataError if it is damaged, or a wanted column is there twice, or has no text.

    One that is not there is not among the kinds.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        rows = file.metadata.num_rows
    kinds = {}
    for name in wanted:
        if name not in schema.names:
            continue
        if schema.names.count(name) > 1:
            raise DataError(f"{path}: {schema.names.count(name)} columns '{name}'; rename all but one")
        kind = _kind(schema.field(name))
        if kind is None:
            raise DataError(
                f"{path}: column '{name}' is {schema.field(name).type!s:.80}, which has no text; "
                "write it as a string or a number, or leave it out"
            )
        kinds[name] = kind
    return ParquetFile(path, rows, tuple(schema.names), kinds)


def require_alike(first: ParquetFile, other: ParquetFile) -> None:
    """Raise DataError if a wanted column is of another kind in a later file."""
    for name, kind in other.kinds.items():
        if "null" not in (kind, first.kinds[name]) and kind != first.kinds[name]:
            raise DataError(
                f"{other.path}: column '{name}' is {kind}, and in {first.path.name} it is {first.kinds[name]}; "
                "write both alike"
            )


def read_texts(file: ParquetFile) -> Iterator[pa.Table]:
    """Yield a file's wanted columns as text, piece by piece. Of a string, nobody has looked whether it is UTF-8.

    Raises DataError if the file is damaged, or has not as many rows as it said.
    """
    import pyarrow as pa

    rows = 0
    with _opened(file.path) as opened:
        try:
            for batch in opened.iter_batches(_rows_at_once(opened, file), columns=list(file.kinds), use_threads=False):
                yield pa.table([_text(batch.column(name)) for name in file.kinds], list(file.kinds))
                rows += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file.path, error) from error
    if rows != file.rows:
        raise DataError(f"{file.path}: its footer says {file.rows} rows, and {rows} are there; write it again")


def _opened(path: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError | StorageError:
    """Return what to say of a file: the system's errors have a number, those of a damaged file have none."""
    if isinstance(error, OSError) and error.errno:
        return StorageError(f"{path}: cannot be read: {os.strerror(error.errno)}")
    said = str(error).strip().splitlines() or [type(error).__name__]
    return DataError(f"{path}: no Parquet file, or a damaged one: {said[0]:.150}; write or fetch it again")


def _rows_at_once(opened: pq.ParquetFile, file: ParquetFile) -> int:
    """Return how many rows of a file are held at once: by the sizes that its footer tells of the wanted columns."""
    most = 0
    for number in range(opened.num_row_groups):
        group = opened.metadata.row_group(number)
        columns = (group.column(place) for place in range(group.num_columns))
        size_bytes = sum(each.total_uncompressed_size for each in columns if each.path_in_schema in file.kinds)
        most = max(most, size_bytes // max(1, group.num_rows))
    return max(1, min(_ROWS, _PIECE_BYTES // max(1, most)))


def _kind(field: pa.Field) -> str | None:
    """Return what the values of a column are, in words; None if they have no text."""
    import pyarrow as pa
    import pyarrow.types as kinds

    if isinstance(field.type, pa.BaseExtensionType) or _EXTENSION in (field.metadata or {}):
        return None
    kind = field.type.value_type if kinds.is_dictionary(field.type) else field.type
    if kinds.is_timestamp(kind):
        return "a moment in a zone" if kind.tz else "a moment without a zone"
    if kinds.is_floating(kind):
        return f"a number of {kind.bit_width} bits"
    if kinds.is_decimal(kind):
        return f"a decimal number of scale {kind.scale}"
    words = {
        "text": (kinds.is_string, kinds.is_large_string, kinds.is_string_view),
        "a whole number": (kinds.is_integer,),
        "true or false": (kinds.is_boolean,),
        "a date": (kinds.is_date,),
        "a time": (kinds.is_time,),
        "null": (kinds.is_null,),
    }
    return next((name for name, tests in words.items() if any(test(kind) for test in tests)), None)


def _text(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kinds.is_float16(column.type):
        column = column.cast(pa.float32())
    if not kinds.is_timestamp(column.type) and not kinds.is_time(column.type):
        return column.cast(pa.string())
    if kinds.is_timestamp(column.type) and column.type.tz:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    text = pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
    text = pc.replace_substring_regex(text, r"\.0+(Z?)$", r"\1")  # the same text whatever the unit of its type
    return pc.replace_substring_regex(text, r"(\.\d*[1-9])0+(Z?)$", r"\1\2")
