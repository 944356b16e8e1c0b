"""`champion.json` and `anchor.json` in `models/`: the versions that a candidate is compared with."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records.computed_on import ComputedOn
from pipeline.records.identity import Identity
from pipeline.records.record import Record

CHAMPION_FILE = "champion.json"
ANCHOR_FILE = "anchor.json"


class Champion(Record):
    """The champion, or the anchor, that a candidate is compared with; `identity` is None for a first model.

    The anchor is the champion that was last proven better than the anchor before it. `problem` says why the candidate
    cannot be compared with it, or why nobody knows who it is; None if its files are there: beside it, or, of an anchor
    that is the champion, beside that one. `computed_on` is what the champion was trained on, as far as the registry
    says. Record version 1 named `identity` `champion`, version 2 had no `computed_on`.
    """

    VERSION: ClassVar[int] = 3
    identity: Identity | None
    registry: str
    problem: str | None = None
    computed_on: tuple[ComputedOn, ...] = ()

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Read record version 1."""
        if version == 1 and "champion" in values:
            values["identity"] = values.pop("champion")
        return values
