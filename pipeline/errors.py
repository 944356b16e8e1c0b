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
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

LONGEST_LINE = 291  # characters: with `ratchet: ` before it, a line of 300
_SHORTEST_PIECE = 40  # characters that stay of a value or a word of which the middle is left out
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_WORD = re.compile(r"\S+")

MASK = "***"
_SHORTEST_SECRET = 6  # characters: `true` in a variable of that name is none
_SECRET_VARIABLE = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|ACCESS_KEY|SECRET_KEY|API_KEY|ACCOUNT_KEY|CONNECTION_STRING)$", re.I
)
# What stands between `//` and the last `@` of a word. A password that a library has decoded, or that nobody has
# encoded, may have `/`, `:` and `@` in it, so that no end of a host's name is looked for.
_USER_AND_PASSWORD = re.compile(r'(://[^\s/@:"]{0,200}):[^\s"]{0,2000}@')
_TOKEN_AS_USER = re.compile(r'(\bhttps?://)[^\s/@:"]{1,2000}@', re.I)
_SECRET_IN_QUERY = re.compile(
    r"""([?&;][\w.-]{0,60}(?:password|passwd|pwd|secret|token|signature|sig|key|sas)=)[^&\s"';#]+""", re.I
)
_HEADER = re.compile(r"""(authorization["']?\s*[:=]\s*["']?(?:basic|bearer)\s+)[^\s"']+""", re.I)


def without_secrets(text: str, environment: Mapping[str, str] = os.environ, also: Iterable[str] = ()) -> str:
    """Return a text, fit for a terminal or a file, in which every secret that can be told by its place is masked.

    That is: the password of an address (`scheme://user:password@host`), a token in its place, secrets in its query and
    in the header `Authorization`; the values of environment variables whose names end like `…_PASSWORD` or `…_TOKEN`,
    and the passwords of addresses in any variable, as they are and decoded, wherever they stand as a whole word; and
    what the caller knows (`also`).
    """
    text = _USER_AND_PASSWORD.sub(rf"\1:{MASK}@", text)
    text = _TOKEN_AS_USER.sub(rf"\1{MASK}@", text)
    text = _SECRET_IN_QUERY.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    known = {*also, *_secrets_of(environment)}
    for secret in sorted({*known, *map(unquote, known)}, key=lambda each: (-len(each), each)):
        if secret and secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return text


def _secrets_of(environment: Mapping[str, str]) -> set[str]:
    found = {value for name, value in environment.items() if _SECRET_VARIABLE.search(name)}
    for value in environment.values():
        for match in _USER_AND_PASSWORD.finditer(value) if "://" in value else ():
            found.add(match[0][len(match[1]) + 1 : -1])
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def shortened(line: str, limit: int = LONGEST_LINE) -> str:
    """Return a line of at most `limit` characters.

    The middle of its longest quoted value or word is left out, then of the next longest: what stands at the end, which
    says what to do, stays. Only if there is no long one left, the middle of the line itself is.
    """
    while (excess := len(line) - limit) > 0:
        pieces = [*_QUOTED.finditer(line), *_WORD.finditer(line)]
        longest = max(pieces, key=lambda piece: len(piece[0]), default=None)
        if longest is None or len(longest[0]) <= _SHORTEST_PIECE:
            return _without_middle(line, limit)
        piece = _without_middle(longest[0], max(_SHORTEST_PIECE, len(longest[0]) - excess))
        line = line[: longest.start()] + piece + line[longest.end() :]
    return line


def _without_middle(text: str, limit: int) -> str:
    end = (limit - 1) // 2
    return f"{text[: limit - 1 - end]}…{text[-end:]}"


def printable(text: str) -> str:
    """Return a text in which what a terminal would obey instead of showing stands as its escape: `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or "\ud800" <= each <= "\udfff" else each.encode("unicode_escape").decode()
        for each in text
    )


class RatchetError(Exception):
    """An error a person can act on. Its text is one short line, without secrets: what, where, why, what to do."""

    exit_code = 70

    def __init__(self, message: str) -> None:
        super().__init__(shortened(without_secrets(printable(" ".join(message.split())))))


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
