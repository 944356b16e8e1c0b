"""From the entries that a source finds to its tables: one row each, in their order, whatever becomes of it.

The payload of a row is the file's own bytes; of its header size, mode and encoding are told, and no pixel is decoded.
A row with a problem has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.data.file_reading import Problem
from pipeline.data.picture_headers import ENDINGS, Header, header_of
from pipeline.data.problems import EMPTY, NOT_A_PICTURE
from pipeline.data.source_rows import BYTES_PER_SHARD, ROWS_PER_SHARD
from pipeline.data.walking import shown_name
from pipeline.errors import nearest

if TYPE_CHECKING:
    import pyarrow as pa

UNKNOWN_LABEL = -1
_FIRST_BYTES = 8  # that are shown of what is no picture


class Label(NamedTuple):
    """A label as an index into the declared classes: None for unlabelled, -1 for a text that is none of them."""

    number: int | None
    detail: str | None = None  # of -1: the text


UNLABELLED = Label(None)


class Entry(NamedTuple):
    """One row to be: `name` is its place in the source, as the system spells it; `payload` is None with a problem."""

    name: str
    part: str
    label: Label
    payload: bytes | None
    problem: str | None = None
    detail: str | None = None
    row: int = 0


def labels_of(classes: tuple[str, ...]) -> Callable[[str], Label]:
    """Return a function from a label's text to its label: texts are equal in Unicode's composed form (NFC)."""
    from functools import lru_cache
    from unicodedata import normalize

    numbers = {normalize("NFC", name.strip()): number for number, name in enumerate(classes)}

    @lru_cache(maxsize=10_000)
    def label(text: str) -> Label:
        number = numbers.get(normalize("NFC", text.strip()))
        if number is not None:
            return Label(number)
        return Label(UNKNOWN_LABEL, f"{text!r:.200} is none of data.classes{nearest(text, classes)}"[:1000])

    return label


def picture_entry(name: str, part: str, label: Label, read: bytes | Problem, row: int = 0) -> Entry:
    """Return the entry of what was read under a name: a picture, or why it is none."""
    if not isinstance(read, bytes):
        return Entry(name, part, label, None, *read, row=row)
    if not read:
        return Entry(name, part, label, None, EMPTY, None, row)
    if header_of(read) is None:
        begins = f"begins with {read[:_FIRST_BYTES].hex(' ')}"
        disguise = f", whatever its name ends in ({ENDINGS[0]} …)" if name.lower().endswith(ENDINGS) else ""
        return Entry(name, part, label, None, NOT_A_PICTURE, begins + disguise, row)
    return Entry(name, part, label, read, None, None, row)


def tables(entries: Iterable[Entry]) -> Iterator[pa.Table]:
    """Yield the rows of entries, as many at a time as make a shard."""
    gathered: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        gathered.append(entry)
        size_bytes += len(entry.payload or b"")
        if len(gathered) == ROWS_PER_SHARD or size_bytes >= BYTES_PER_SHARD:
            yield _table(gathered)
            gathered, size_bytes = [], 0
    if gathered:
        yield _table(gathered)


def _table(entries: list[Entry]) -> pa.Table:
    import pyarrow as pa

    details = [entry.detail or entry.label.detail for entry in entries]
    return pa.table(
        {
            "label": pa.array([entry.label.number for entry in entries], pa.int32()),
            "part": pa.array([entry.part for entry in entries], pa.string()),
            "source": pa.array([shown_name(entry.name) for entry in entries], pa.string()),
            "row": pa.array([entry.row for entry in entries], pa.int64()),
            "problem": pa.array([entry.problem for entry in entries], pa.string()),
            "detail": pa.array(details, pa.string()),
            **picture_columns("image", [entry.payload for entry in entries]),
        }
    )


def picture_columns(name: str, payloads: Sequence[bytes | None]) -> dict[str, pa.Array]:
    """Return the raw columns of a feature of kind image, from the bytes of its pictures, or None."""
    import pyarrow as pa

    headers = [header_of(payload) if payload else None for payload in payloads]

    def of_headers(fact: Callable[[Header], Any], kind: pa.DataType) -> pa.Array:
        return pa.array([None if header is None else fact(header) for header in headers], kind)

    return {
        f"{name}_height": of_headers(lambda header: header.height, pa.int32()),
        f"{name}_width": of_headers(lambda header: header.width, pa.int32()),
        f"{name}_channels": of_headers(lambda header: header.channels, pa.int32()),
        f"{name}_mode": of_headers(lambda header: header.mode, pa.string()),
        f"{name}_encoding": of_headers(lambda header: header.encoding, pa.string()),
        name: pa.array(payloads, pa.binary()),
    }
