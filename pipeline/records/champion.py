"""`models/champion/champion.json`: the version that a candidate is compared with."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.records.identity import Identity
from pipeline.records.record import Record

CHAMPION_FILE = "champion.json"


class Champion(Record):
    """The champion that a candidate is compared with; `identity` is None for a first model.

    `problem` says why its files are not beside it; None if they are. Record version 1 named `identity` `champion`.
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
