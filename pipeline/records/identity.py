"""A registered version and the digest of its model."""

from __future__ import annotations

from pipeline.records.record import Record


class Identity(Record):
    """The name of a registered model, the number of one of its versions, and the digest of that version's model."""

    name: str
    version: int
    digest: str
