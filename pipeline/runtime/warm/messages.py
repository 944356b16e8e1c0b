"""Messages between the processes of a warm run: JSON, and open files, over Unix sockets that keep messages apart.

Standard library only: the parents of stages import it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

_LARGEST_BYTES = 128 * 1024  # an environment, mostly; below what a socket takes at once (212 992 bytes by default)
_MOST_FILES = 8


class TooLong(OSError):
    """A message that no socket takes at once."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: Mapping[str, Any], files: Sequence[int] = ()) -> None:
    """Send a message, and open files with it. Raises TooLong, or OSError if the other side has gone."""
    content = json.dumps(message).encode()
    if len(content) > _LARGEST_BYTES:
        raise TooLong(f"a message of {len(content)} bytes is too long")
    socket.send_fds(connection, [content], files)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and the files that came with it; None if the other side has gone, or said nonsense.

    Raises TimeoutError if the connection has a time-out.
    """
    try:
        content, files, flags, _ = socket.recv_fds(connection, _LARGEST_BYTES, _MOST_FILES)
    except TimeoutError:
        raise
    except OSError:
        return None
    for descriptor in files:
        os.set_inheritable(descriptor, False)  # Python 3.11 passes no flags on to recvmsg(2)
    try:
        message = json.loads(content) if content and not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) else None
    except ValueError:
        message = None
    if isinstance(message, dict):
        return message, files
    for descriptor in files:
        os.close(descriptor)
    return None
