"""What the page shows, or why it cannot: the one place where an error becomes a sentence on the page.

Everything that the page reads, and every part that it draws, is made inside `section`. So whatever is missing, damaged
or surprising takes its own section with it and no other, and nothing is left out in silence.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import RatchetError, StorageError, without_secrets

_LONGEST_PROBLEM = 500  # characters

T = TypeVar("T")


@dataclass(frozen=True)
class Section(Generic[T]):
    """Something the page shows: its value, or why there is none (`problem` is "" if it was never made)."""

    value: T | None
    problem: str = ""

    def __bool__(self) -> bool:
        return self.value is not None


def section(make: Callable[[], T | None], root: Path) -> Section[T]:
    """Make a section; if that raises, it says why, with paths from `root` on. An unexpected error is called a bug."""
    try:
        return Section(make())
    except RatchetError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or 'a file'}: cannot be read: {error.strerror or error}"
    except RecursionError:
        problem = "nested too deeply to be shown"
    except Exception as error:  # noqa: BLE001 - the page is where people look for what went wrong
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(at.filename).name}:{at.lineno}"
        problem = f"a bug in Ratchet, please report it: {type(error).__name__}: {error} ({place})"
    problem = without_secrets(" ".join(problem.replace(f"{root}/", "").split()))
    return Section(None, problem[:_LONGEST_PROBLEM])


def find_file(path: Path) -> Path | None:
    """Return the path of a file; None if there is nothing. Raises StorageError if something else is there."""
    return _find(path, path.is_file(), "a file")


def find_folder(path: Path) -> Path | None:
    """Return the path of a folder; None if there is nothing. Raises StorageError if something else is there."""
    return _find(path, path.is_dir(), "a folder")


def _find(path: Path, is_right: bool, what: str) -> Path | None:
    if is_right:
        return path
    if path.is_symlink() and not path.exists():
        raise StorageError(f"{path}: a link to nothing; make it again")
    if path.exists():
        raise StorageError(f"{path}: not {what}; remove it, then make it again")
    return None
