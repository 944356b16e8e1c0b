"""Folders that are this user's alone: nobody else can put a file or a link there, or hold one of our locks.

A folder of ours is no link, belongs to this user, and nobody else may write it; each is checked from a descriptor of
the one it lies in, so that none is exchanged in between. What does not pass is left alone, and the next place is taken.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from pipeline.errors import StorageError

_NAME = "ratchet"
_Place = tuple[Path, tuple[str, ...]]  # a folder, and the names of ours in it, one in the other


def machine_folder(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder for what holds on this machine, until it is switched off: `$XDG_RUNTIME_DIR/ratchet/…`.

    That folder is looked for where systemd makes it, too: a process of cron has no such variable, and must find the
    locks of a login. Where there is none: one for this host in the user's cache, then one in the temporary folder.
    Raises StorageError if none of them can be made, or all belong to somebody else.
    """
    runtime = [environment.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"]
    places: list[_Place] = [(Path(place), (_NAME, name)) for place in runtime if os.path.isabs(place)]  # noqa: PTH117 - "" is none
    places += [(cache, (_NAME, "hosts", socket.gethostname() or "this", name)) for cache in _caches(environment)]
    return _first(places, name)


def shared_folder(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder for what holds on every machine that shares the user's cache: `~/.cache/ratchet/…`.

    Raises StorageError as `machine_folder`.
    """
    return _first([(cache, (_NAME, name)) for cache in _caches(environment)], name)


def open_private(path: Path) -> IO[bytes]:
    """Open a file in one of these folders for reading and writing, and make it if it is missing; never by a link.

    Raises OSError, also if something else than a file of this user's alone stands there.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    stream = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
    found = os.fstat(stream.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_nlink != 1:
        stream.close()
        raise OSError(f"{path}: not a file of this user's alone")
    return stream


def _caches(environment: Mapping[str, str]) -> Iterator[Path]:
    for variable, inside in (("XDG_CACHE_HOME", ""), ("HOME", ".cache")):
        if os.path.isabs(environment.get(variable, "")):  # noqa: PTH117 - "" is none
            yield Path(environment[variable], inside)


def _first(places: Sequence[_Place], name: str) -> Path:
    reasons = []
    temporary = (Path(tempfile.gettempdir()), (f"{_NAME}-{os.getuid()}", name))
    for base, names in (*places, temporary):
        try:
            return _made(base, names)
        except OSError as error:
            reasons.append(f"{base / names[0]}: {error.strerror or error}")
    raise StorageError(f"there is no folder of this user's own for {name}: {'; '.join(reasons)}; set XDG_CACHE_HOME")


def _made(base: Path, names: tuple[str, ...]) -> Path:
    """Make the folders `names`, one in the other, in `base`; return the last. Raises OSError if one is not ours."""
    if base.name == ".cache":
        base.mkdir(mode=0o700, exist_ok=True)
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
            found = os.fstat(folder)
            if found.st_uid != os.getuid():
                raise OSError(f"{name} belongs to another user")
            if found.st_mode & 0o022:
                raise OSError(f"{name} can be written by others")
    finally:
        os.close(folder)
    return base.joinpath(*names)
