"""Pictures of a table's rows: a column holds the path of each, relative to the source's folder and never outside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pyarrow as pa

from pipeline.data.entries import picture_columns
from pipeline.data.file_reading import Problem, read_whole
from pipeline.data.picture_headers import header_of
from pipeline.data.problems import BROKEN_LINK, LINK_OUT, NAME_LEADS_OUT, NOT_A_FILE, NOT_A_PICTURE, NOT_THERE
from pipeline.data.row_faults import Faults
from pipeline.data.source_rows import BYTES_PER_SHARD

_SHOWN = 200  # characters of a path
_FIRST_BYTES = 8  # that are shown of what is no picture


def picture_tables(
    paths: Mapping[str, pa.Array], faults: Faults, folder: Path, largest_bytes: int
) -> Iterator[tuple[int, dict[str, pa.Array]]]:
    """Yield the raw columns of features that are pictures, in pieces of a shard's bytes, each after its end.

    `paths` are the features' paths, `[row]`: of a null there is no picture. A row whose picture cannot be had gets the
    problem; a row that has one is not read for.
    """
    root = os.path.realpath(folder)
    rows = len(next(iter(paths.values())))
    names = {name: column.to_pylist() for name, column in paths.items()}
    known = faults.at
    gathered: dict[str, list[bytes | None]] = {name: [] for name in paths}
    size_bytes = 0
    for row in range(rows):
        payloads = dict.fromkeys(paths, b"")
        for name in paths if known is None or not known[row] else ():
            read = _read(root, names[name][row], largest_bytes)
            if not isinstance(read, bytes):
                faults.add_row(row, *read)
                break
            payloads[name] = read
        for name, payload in payloads.items():
            gathered[name].append(payload or None)
            size_bytes += len(payload)
        if size_bytes >= BYTES_PER_SHARD or row + 1 == rows:
            yield row + 1, _columns(gathered)
            gathered, size_bytes = {name: [] for name in paths}, 0


def _columns(gathered: Mapping[str, list[bytes | None]]) -> dict[str, pa.Array]:
    return {
        name: column for each, payloads in gathered.items() for name, column in picture_columns(each, payloads).items()
    }


def _read(root: str, name: str | None, largest_bytes: int) -> bytes | Problem:
    """Return a picture's bytes, empty for no name, or why they cannot be had."""
    if name is None:
        return b""
    if name.startswith("/") or ".." in PurePosixPath(name).parts or not PurePosixPath(name).parts:
        return NAME_LEADS_OUT, f"it names {name[:_SHOWN]!r}"
    try:
        path = os.path.realpath(os.path.join(root, name), strict=True)  # noqa: PTH118 - of a str
        mode = os.lstat(path).st_mode
    except OSError as error:
        is_link = os.path.islink(os.path.join(root, name))  # noqa: PTH114, PTH118
        return BROKEN_LINK if is_link else NOT_THERE, f"{name[:_SHOWN]!r}: {error.strerror}"
    if os.path.commonpath([root, path]) != root:
        return LINK_OUT, f"it names {name[:_SHOWN]!r}"
    if not stat.S_ISREG(mode):
        return NOT_A_FILE, f"it names {name[:_SHOWN]!r}"
    read = read_whole(path, largest_bytes)
    if not isinstance(read, bytes):
        return read[0], f"{name[:_SHOWN]!r}{f': {read[1]}' if read[1] else ''}"
    if header_of(read) is None:
        return NOT_A_PICTURE, f"{name[:_SHOWN]!r} begins with {read[:_FIRST_BYTES].hex(' ')}"
    return read
