"""What batch scoring keeps while it works, so that it goes on where it was ended: the job, and each finished shard."""

from __future__ import annotations

from pydantic import Field

from pipeline.records.manifest import FileEntry
from pipeline.records.record import Record


class ScoringJob(Record):
    """What is scored by what. `decides` is a digest of all that decides an answer, but for the rows."""

    input: str
    model: str
    decides: str


class ScoredShard(Record):
    """What became of the rows of one shard. `read` is a digest of the rows as the source delivered them.

    `scored` is the file of its answers, `rejected` that of the rows without one; None where there is no such row.
    `reasons` counts the rejected rows, `predictions` the others by their class, empty where the answer is a number.
    """

    read: str
    rows: int
    scored: FileEntry | None = None
    rejected: FileEntry | None = None
    reasons: dict[str, int] = Field(default_factory=dict)
    predictions: dict[str, int] = Field(default_factory=dict)
