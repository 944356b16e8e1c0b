"""Rejected rows as files for people: `rows.csv` with all that is known of each, and each payload in a file of its own.

A file's name is made of the reason and the row's id, never of a name that a source gave. A picture keeps its bytes and
gets the ending of its encoding; raw grey or colour pixels get the header of a portable pixmap before theirs
(https://netpbm.sourceforge.net/doc/pgm.html, ppm.html), so that any viewer shows them.

What a spreadsheet would take for a formula gets an apostrophe before it, which makes it text (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.report.quarantine import Row, reasons, rejected_tables
from pipeline.storage.artifacts import published_folder
from pipeline.storage.manifests import read_manifest

ROWS_FILE = "rows.csv"
_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp", "bmp": "bmp", "tiff": "tif", "gif": "gif"}
_PIXMAPS = {1: (b"P5", "pgm"), 3: (b"P6", "ppm")}  # by the number of channels
_PLAIN_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_BEFORE_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NAME = 60  # characters of a folder's name
_ROWS_AT_ONCE = 64  # their payloads are in memory together


@dataclass(frozen=True)
class Exported:
    """How many rows and payloads were written."""

    rows: int
    payloads: int


def export(quarantines: Sequence[Path], target: Path, wanted: Sequence[str] = ()) -> Exported:
    """Write the rows that were rejected for the wanted reasons (none: for any) to a new folder, whole or not at all.

    Raises UsageError if there is something in its place, or for a reason for which no row was rejected.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already, and nothing is written over; name a folder that is not")
    known = {each.reason for quarantine in quarantines for each in reasons(quarantine, 0)}
    for reason in wanted:
        if reason not in known:
            raise UsageError(f"no row was rejected for '{reason}'{nearest(reason, known)}")
    columns = dict.fromkeys(name for each in quarantines for name in read_manifest(each, verify=False).columns)
    rows = payloads = 0
    with published_folder(target) as folder, (folder / ROWS_FILE).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        for row in (row for each in quarantines for row in _rows(each, wanted)):
            files = {name: _write_payload(folder, row, name, rows) for name in row if isinstance(row[name], bytes)}
            writer.writerow({name: _as_text(value) for name, value in {**row, **files}.items()})
            rows += 1
            payloads += len(files)
    return Exported(rows, payloads)


def _rows(quarantine: Path, wanted: Sequence[str]) -> Iterator[Row]:
    for table in rejected_tables(quarantine):
        for piece in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
            for row in piece.to_pylist():
                if not wanted or row["reason"] in wanted:
                    yield row


def _as_text(value: Any) -> Any:
    """Return a value that no spreadsheet calculates; a number stays as it is."""
    if not isinstance(value, str) or not value.startswith(_BEFORE_FORMULAS) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def _write_payload(folder: Path, row: Row, column: str, number: int) -> str:
    """Write a payload; return the file's name from the folder."""
    header, ending = _format(row, column)
    row_id = row.get("id") or ""
    name = row_id if _PLAIN_ID.fullmatch(row_id) else f"row-{number}"
    reason = re.sub(r"[^a-z0-9]+", "-", str(row["reason"]).lower()).strip("-")[:_LONGEST_NAME] or "rejected"
    path = folder / reason / f"{name}-{column}.{ending}"
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as stream:
        stream.write(header + row[column])
    return path.relative_to(folder).as_posix()


def _format(row: Row, column: str) -> tuple[bytes, str]:
    """Return what to write before a payload, and the ending of its file."""
    encoding = row.get(f"{column}_encoding")
    if ending := _ENDINGS.get(str(encoding)):
        return b"", ending
    height, width, channels = (row.get(f"{column}_{side}") or 0 for side in ("height", "width", "channels"))
    if encoding == "raw" and channels in _PIXMAPS and height * width * channels == len(row[column]) > 0:
        magic, ending = _PIXMAPS[channels]
        return b"%s %d %d 255\n" % (magic, width, height), ending
    return b"", "bin"
