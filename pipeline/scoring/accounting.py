"""The account of a scoring: each row that was read has an answer or a reason, shard by shard and together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.errors import Bug
from pipeline.records.digests import digest_json
from pipeline.records.scored_shard import ScoredShard


class Account(NamedTuple):
    """How many rows were read, how many have an answer, and why the others have none. `read` says which rows it was."""

    rows: int
    scored: int
    reasons: dict[str, int]
    predictions: dict[str, int]
    read: str

    @property
    def rejected(self) -> int:
        """The rows without an answer."""
        return sum(self.reasons.values())


def account(shards: Sequence[ScoredShard], rows: int, classes: Sequence[str] = ()) -> Account:
    """Add up shards, in their order; `rows` is how many the source has delivered.

    Raises Bug unless in each shard every row has either an answer, which is one of the `classes` if there are any, or a
    reason; and unless the shards together have all rows.
    """
    reasons, predictions = Counter[str](), Counter[str]()
    for number, shard in enumerate(shards):
        scored, rejected = (entry.rows if entry else 0 for entry in (shard.scored, shard.rejected))
        answered = sum(shard.predictions.values()) if classes else scored
        if scored + rejected != shard.rows or (answered, sum(shard.reasons.values())) != (scored, rejected):
            raise Bug(
                f"score: shard {number} has {shard.rows} rows, but {scored} scored, {answered} answers, {rejected} "
                f"rejected and {sum(shard.reasons.values())} reasons: they do not add up; please report it"
            )
        reasons.update(shard.reasons)
        predictions.update(shard.predictions)
    found = sum(shard.rows for shard in shards)
    if found != rows or predictions.keys() - set(classes):
        raise Bug(f"score: {rows} rows read, but {found} scored or rejected; please report it")
    return Account(
        rows=rows,
        scored=sum(shard.scored.rows for shard in shards if shard.scored),
        reasons=dict(sorted(reasons.items())),
        predictions={name: predictions[name] for name in classes},
        read=rows_read([shard.read for shard in shards]),
    )


def rows_read(shards: Sequence[str]) -> str:
    """Return a digest of all rows that were read, from those of the shards, in their order."""
    return digest_json(list(shards))
