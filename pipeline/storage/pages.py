"""Where the values of a column lie in a Parquet file, so that they can be read from a memory map as they stand.

That is so in the shards that `shards.write_shard` writes: data pages of version 1, plain, uncompressed, without nulls;
after a page's header and its levels its values follow each other. The headers are read here, because Arrow gives a
column's values only as a copy. What is read: https://github.com/apache/parquet-format (parquet.thrift, PageHeader;
"Data Pages"; "Run Length Encoding / Bit-Packing Hybrid"), in Thrift's compact protocol,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DATA_PAGE, _PLAIN, _RLE = 0, 0, 3  # PageType, Encoding, Encoding
_STORED_BYTES = {"INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}


class OtherLayout(ValueError):
    """A column is not stored plain, uncompressed and without nulls."""


@dataclass(frozen=True)
class Page:
    """The values of one data page: how many rows, and where in the file the first begins, in bytes."""

    rows: int
    begin: int


def stored_bytes(metadata: Any, column: str) -> int:
    """Return the size of one stored value of a column, in bytes; raise OtherLayout if it has none, or is not there.

    `metadata` is Parquet's, as Arrow reads it. Numbers of less than 32 bits are stored in 32.
    """
    schema = metadata.schema.column(_index(metadata, column))
    if schema.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return int(schema.length)
    try:
        return _STORED_BYTES[schema.physical_type]
    except KeyError:
        raise OtherLayout(f"column {column} is of {schema.physical_type}, whose values have no fixed size") from None


def column_pages(content: memoryview, metadata: Any, column: str) -> Iterator[Page]:
    """Yield the pages of a column, in the order of their rows; raise OtherLayout if they cannot be read in place.

    `content` is the whole file.
    """
    number, size = _index(metadata, column), stored_bytes(metadata, column)
    schema = metadata.schema.column(number)
    if schema.max_repetition_level or schema.max_definition_level > 1:
        raise OtherLayout(f"column {column} is nested")
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(number)
        if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
            raise OtherLayout(f"column {column} is stored {chunk.compression}, {', '.join(chunk.encodings)}")
        at, end, rows = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size, 0
        while rows < chunk.num_values:
            try:
                page, at = _page(content[:end], at, size, has_levels=bool(schema.max_definition_level))
            except (IndexError, KeyError, TypeError) as error:
                raise OtherLayout(f"column {column} has a page header that cannot be read") from error
            except OtherLayout as error:
                raise OtherLayout(f"column {column} {error}") from None
            rows += page.rows
            yield page


def _index(metadata: Any, column: str) -> int:
    names = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    if column not in names:
        raise OtherLayout(f"there is no column {column}")
    return names.index(column)


def _page(content: memoryview, at: int, size: int, *, has_levels: bool) -> tuple[Page, int]:
    """Return the page whose header begins at a byte, and where it ends."""
    header, begin = _struct(content, at)
    data, end = header.get(5), begin + header[3]
    if header[1] != _DATA_PAGE or not isinstance(data, dict) or data[2] != _PLAIN or header[2] != header[3]:
        raise OtherLayout("is not stored plain")
    rows = data[1]
    if has_levels:
        length = int.from_bytes(content[begin : begin + 4], "little")
        if data[3] != _RLE or not _are_all_one(content[begin + 4 : begin + 4 + length], rows):
            raise OtherLayout("has missing values")
        begin += 4 + length
    if rows < 1 or begin + rows * size != end or end > len(content):
        raise OtherLayout(f"has a page of {end - begin} bytes for {rows} values of {size}")
    return Page(rows, begin), end


def _are_all_one(levels: memoryview, rows: int) -> bool:
    """Return whether the levels of so many rows are 1, in runs of one bit: that is, whether no value is missing."""
    at = told = 0
    while told < rows:
        run, at = _varint(levels, at)
        if run & 1:  # bit-packed: groups of eight
            packed = levels[at : at + (run >> 1)]
            wanted = min(8 * len(packed), rows - told)
            at += run >> 1
            is_one = int.from_bytes(packed, "little") & ((1 << wanted) - 1) == (1 << wanted) - 1
            told += 8 * (run >> 1)
        else:
            is_one, told, at = levels[at] == 1, told + (run >> 1), at + 1
        if not is_one:
            return False
    return True


def _struct(content: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a Thrift structure by their number, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while kind := content[at] & 0x0F:
        step = content[at] >> 4
        at += 1
        if step:
            number += step
        else:
            zigzag, at = _varint(content, at)
            number = (zigzag >> 1) ^ -(zigzag & 1)
        fields[number], at = _value(content, at, kind)
    return fields, at + 1


def _value(content: memoryview, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true and false stand in the kind
        return kind == 1, at
    if kind in (4, 5, 6):  # integers of 16, 32 and 64 bits
        zigzag, at = _varint(content, at)
        return (zigzag >> 1) ^ -(zigzag & 1), at
    if kind == 8:  # bytes
        length, at = _varint(content, at)
        return bytes(content[at : at + length]), at + length
    if kind == 12:
        return _struct(content, at)
    raise OtherLayout(f"has a header with a field of Thrift's kind {kind}")


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
