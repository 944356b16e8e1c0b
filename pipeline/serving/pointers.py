"""The pointers of a followed folder: files that name one of its folders, replaced atomically."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pipeline.storage.artifacts import write_file

POINTER, LAST_GOOD = "current", "last_good"


def pointed_to(folder: Path, pointer: str) -> str | None:
    """Return the name of the folder that a pointer names; None if there is none, or if it is no plain name."""
    name = None
    with suppress(OSError, UnicodeDecodeError):
        name = (folder / pointer).read_text(encoding="utf-8").strip()
    is_plain = name and not name.startswith(".") and os.sep not in name and "\0" not in name and len(name) < 256
    return name if is_plain else None


def point_to(folder: Path, name: str) -> None:
    """Let a followed folder's pointer name one of its folders from now on."""
    write_file(folder / POINTER, f"{name}\n".encode())
