"""The errors that Ratchet raises, and what each means to the person who ran the command.

    RatchetError              one line: what, where, why, what to do      exit code
    ├── UsageError            the command, the recipe or the set-up is wrong     2
    ├── DataError             the data is not what its source promised          65
    │   └── ContractError     a declared expectation does not hold              65
    ├── Bug                   Ratchet contradicts itself                        70
    ├── StorageError          a file or a service cannot be read or written     74
    └── TryAgain              a temporary condition: the same may succeed later 75

The numbers are those of BSD's sysexits.h. Any other exception is a bug: it leaves with 70.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable


class RatchetError(Exception):
    """An error a person can act on. Its text is one line: what, where, why, what to do."""

    exit_code = 70

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UsageError(RatchetError):
    """The command line, the recipe, a configuration or the machine's set-up is wrong."""

    exit_code = 2


class DataError(RatchetError):
    """The data is not what its source or its manifest promised."""

    exit_code = 65


class ContractError(DataError):
    """A data contract's expectation does not hold."""


class Bug(RatchetError):
    """Ratchet contradicts itself: please report it."""

    exit_code = 70


class StorageError(RatchetError):
    """A file, a folder or a service cannot be read or written."""

    exit_code = 74


FULL_DISK = "no space left; make room, then run again: what was finished is kept"


class TryAgain(RatchetError):
    """The same command may succeed later: a lock is held, a worker was lost, the champion has moved."""

    exit_code = 75


def as_full_disk(error: BaseException) -> StorageError | None:
    """Return the StorageError to raise instead if an error means that a disk is full; None for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{error.filename or 'a disk that is written to'}: {FULL_DISK}")
    return None


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest valid name, or the valid names if none is close."""
    import difflib

    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" (did you mean '{close[0]}'?)"
    return f" (valid: {', '.join(names)})" if names else ""
