"""Reads and writes records as JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pipeline.records.record import Record
from pipeline.storage.artifacts import read_json, write_json

RecordT = TypeVar("RecordT", bound=Record)


def read_record(path: Path, kind: type[RecordT]) -> RecordT:
    """Read a record. Raises StorageError if the file cannot be read, DataError if it is not such a record."""
    return kind.from_json(read_json(path), str(path))


def find_record(path: Path, kind: type[RecordT]) -> RecordT | None:
    """Read a record; None if there is no such file. Otherwise as `read_record`."""
    return read_record(path, kind) if path.is_file() else None


def write_record(path: Path, record: Record) -> None:
    """Publish a record, atomically."""
    write_json(path, record.to_json())
