"""`follower.json`: what the follower of a champion found at its last look, for the service that serves its folder."""

from __future__ import annotations

from typing import Literal

from pipeline.records.record import Record

FOLLOWER_FILE = "follower.json"


class FollowedChallenger(Record):
    """The version that is asked beside the champion; `state` and `why` as of `Following`.

    `waiting`: the registry has no such version, or it is the champion. `may_answer`: whether its answers may be given
    to those who ask for the champion: the gate has let it pass, or a person has made it champion.
    """

    state: Literal["following", "waiting", "refused"]
    why: str = ""
    version: int | None = None
    may_answer: bool = False


class Following(Record):
    """`state` in one word, `why` in a line where it is not `following`; `looked_at_s` since the epoch.

    `waiting`: there is no champion yet. `unreachable`: the registry cannot be asked. `refused`: the champion cannot be
    made a served folder. The version is the champion's, None if that is not known. `challenger` is there if the
    follower was told of one, as it was when the registry could last be asked.
    """

    state: Literal["following", "waiting", "unreachable", "refused"]
    why: str = ""
    version: int | None = None
    looked_at_s: float
    challenger: FollowedChallenger | None = None
