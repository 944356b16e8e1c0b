"""`champion.json` and `anchor.json` in `models/`: the versions that a candidate is compared with."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records.identity import Identity
from pipeline.records.record import Record

CHAMPION_FILE = "champion.json"
ANCHOR_FILE = "anchor.json"


class Champion(Record):
    """The champion, or the anchor, that a candidate is compared with; `identity` is None for a first model.

    The anchor is the champion that was last proven better than the anchor before it. `problem` says why the candidate
    cannot be compared with it, or why nobody knows who it is; None if its files are there: beside it, or, of an anchor
    that is the champion, beside that one. Record version 1 named `identity` `champion`.
    """

    VERSION: ClassVar[int] = 2
    identity: Identity | None
    registry: str
    problem: str | None = None

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Read record version 1."""
        if version == 1 and "champion" in values:
            values["identity"] = values.pop("champion")
        return values
