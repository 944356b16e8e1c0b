"""Access tokens: a file of names and hashes, read again whenever it changes, so that tokens rotate without a restart.

A line is `NAME sha256:HEX`, perhaps with a last day, `until 2027-01-31` (UTC); `#` begins a comment. A token is 32
random bytes, so that a plain hash of it cannot be turned back; the token itself is in no file.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import DataError, StorageError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE = re.compile(rf"({_NAME.pattern})\s+sha256:([0-9a-f]{{64}})(?:\s+until\s+(\d{{4}}-\d\d-\d\d))?")
_LOOK_EVERY_S = 1.0
_LIMIT_BYTES = 2**20


class Token(NamedTuple):
    """A line of the file: the hash of a token, in hex, and the last day that it is taken."""

    name: str
    hashed: str
    until: date | None


def read_tokens(path: Path) -> list[Token]:
    """Return the lines of a file of tokens; raise StorageError or DataError, without a token or hash in it."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _LIMIT_BYTES:
        raise DataError(f"{path}: larger than {_LIMIT_BYTES} bytes; this is no file of tokens")
    found = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        bare = line.partition("#")[0].strip()
        if not bare:
            continue
        match = _LINE.fullmatch(bare)
        try:
            if match is None:
                raise ValueError
            until = date.fromisoformat(match[3]) if match[3] else None
        except ValueError:
            raise DataError(
                f"{path}, line {number}: must be `NAME sha256:HEX`, perhaps with `until YYYY-MM-DD`; "
                "`ratchet serve --new-token NAME` writes one"
            ) from None
        found.append(Token(match[1], match[2], until))
    return found


def add_token(path: Path, name: str) -> str:
    """Add a new token to a file, which is made if need be for this user alone; return the token, which is kept nowhere.

    Raises UsageError if the name is none or is taken.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name:.80}' is no name of a token: letters, digits, dots, dashes and underscores are")
    if path.exists() and name in [token.name for token in read_tokens(path)]:
        raise UsageError(
            f"{path}: has a token named '{name}' already; choose another name, and remove the old line later"
        )
    token = secrets.token_urlsafe(32)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as stream:
            stream.write(f"{name} sha256:{hashed(token)}\n")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error
    return token


def hashed(token: str) -> str:
    """Return the SHA-256 of a token, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """The tokens of a file, as it stands. One that cannot be read opens nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, ...] | None = None
        self._looked_at_s = -_LOOK_EVERY_S
        self._tokens: list[Token] = []
        self.problem: str | None = None

    def owner(self, token: str) -> str | None:
        """Return the name of a token that is taken today, None of any other."""
        self._look()
        given, today, owner = hashed(token), datetime.now(UTC).date(), None
        for known in self._tokens:  # all of them, so that the time tells nothing
            is_taken = known.until is None or today <= known.until
            if hmac.compare_digest(given, known.hashed) and is_taken:
                owner = known.name
        return owner

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        try:
            status = self._path.stat()
            state = (status.st_mtime_ns, status.st_ino, status.st_size)
            if state == self._state:
                return
            self._tokens, self._state, self.problem = read_tokens(self._path), state, None
        except OSError as error:
            self._tokens, self._state, self.problem = [], None, f"{self._path}: cannot be read: {error.strerror}"
        except (StorageError, DataError) as error:
            self._tokens, self._state, self.problem = [], None, str(error)
