"""Who answers a request: the champion, or for a share of the requests the challenger; and of which a copy is made.

What is drawn follows from a key and the challenger alone, so that every process and every replica draws the same: by
the header `X-Canary-Key`, whatever stands in it, all requests of one user or session have one fate; without it each
request is drawn for itself, by its id. Who is among a smaller share is among a larger one too. Another challenger draws
others, and copies are drawn apart from answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.serving.model import LoadedModel

CHAMPION, CHALLENGER = "champion", "challenger"
KEY_HEADER = b"x-canary-key"
ANSWER, COPY = b"answer", b"copy"  # what is drawn
_DRAWN_BYTES = 6  # no more than a double holds exactly
_DRAWN_FROM = 2.0 ** (8 * _DRAWN_BYTES)
_LONGEST_KEY = 64  # of BLAKE2b


@dataclass(frozen=True)
class Shares:
    """From 0 to 1: which share of the requests the challenger answers, of which share it gets a copy."""

    canary: float = 0.0
    shadow: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            share = getattr(self, each.name)
            if not 0 <= share <= 1:
                raise UsageError(f"--{each.name}-share {share:g}: a share is a number from 0 to 1")

    @property
    def is_any(self) -> bool:
        """Whether the challenger gets anything without being addressed."""
        return self.canary > 0 or self.shadow > 0


class Chosen(NamedTuple):
    """Who is to answer a request, in which role; and the champion who answers `instead` if a canary does not."""

    model: LoadedModel
    role: str
    instead: LoadedModel | None = None


def is_drawn(scope: Any, challenger: LoadedModel, what: bytes, share: float) -> bool:
    """Return whether a request, by its ASGI scope, is of the share that a challenger answers, or gets a copy of."""
    if not 0 < share < 1:
        return share > 0
    given = next((value for name, value in scope["headers"] if name == KEY_HEADER), b"")
    own_key = challenger.served.digest.encode()[-_LONGEST_KEY:]
    hashed = hashlib.blake2b(
        given or scope["ratchet.id"].encode(), digest_size=_DRAWN_BYTES, key=own_key, person=what
    ).digest()
    return int.from_bytes(hashed) / _DRAWN_FROM < share
