"""What the page shows, or why it cannot: a file that is missing or invalid becomes a section that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import RatchetError
from pipeline.records.record import Record
from pipeline.storage.record_files import find_record

T = TypeVar("T")
RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class Section(Generic[T]):
    """Something the page shows: its value, or why there is none (`problem` is "" if it was never made)."""

    value: T | None
    problem: str = ""

    def __bool__(self) -> bool:
        return self.value is not None


def record_section(path: Path, kind: type[RecordT]) -> Section[RecordT]:
    """Read a record; if the file cannot be used, the section says why."""
    try:
        return Section(find_record(path, kind))
    except RatchetError as error:
        return Section(None, str(error).replace(str(path), path.name))
