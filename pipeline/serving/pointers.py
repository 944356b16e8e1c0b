"""The pointers of a followed folder: files that name one of its folders, replaced atomically."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.storage.artifacts import write_file

POINTER, LAST_GOOD = "current", "last_good"
CHALLENGER_POINTER = "challenger"  # only while there is one


def pointed_to(folder: Path, pointer: str) -> str | None:
    """Return the name of the folder that a pointer names; None if there is none, or if it is no plain name."""
    name = None
    with suppress(OSError, UnicodeDecodeError):
        name = (folder / pointer).read_text(encoding="utf-8").strip()
    is_plain = name and not name.startswith(".") and os.sep not in name and "\0" not in name and len(name) < 256
    return name if is_plain else None


def point_to(folder: Path, name: str, pointer: str = POINTER) -> None:
    """Let a pointer of a followed folder name one of its folders from now on."""
    write_file(folder / pointer, f"{name}\n".encode())


def point_away(folder: Path, pointer: str) -> None:
    """Take a pointer of a followed folder away, if it is there. Raises StorageError if that cannot be done."""
    try:
        (folder / pointer).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder / pointer}: cannot be removed: {error.strerror}") from error
