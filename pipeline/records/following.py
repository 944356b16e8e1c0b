"""`follower.json`: what the follower of a champion found at its last look, for the service that serves its folder."""

from __future__ import annotations

from typing import Literal

from pipeline.records.record import Record

FOLLOWER_FILE = "follower.json"


class Following(Record):
    """`state` in one word, `why` in a line where it is not `following`; `looked_at_s` since the epoch.

    `waiting`: there is no champion yet. `unreachable`: the registry cannot be asked. `refused`: the champion cannot be
    made a served folder. The version is the champion's, None if that is not known.
    """

    state: Literal["following", "waiting", "unreachable", "refused"]
    why: str = ""
    version: int | None = None
    looked_at_s: float
