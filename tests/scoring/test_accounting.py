"""The account: every row has an answer or a reason, or there is no output."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Bug
from pipeline.records.manifest import FileEntry
from pipeline.records.scored_shard import ScoredShard
from pipeline.scoring.accounting import account

CLASSES = ("no", "yes")
COUNTS = st.integers(0, 5000)


def entry(rows: int) -> FileEntry | None:
    return FileEntry(path="part-00000.parquet", rows=rows, size_bytes=1, digest="sha256:0a") if rows else None


@st.composite
def shards(draw: st.DrawFn, *, has_classes: bool = True) -> ScoredShard:
    predictions = draw(st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 5000)))
    reasons = draw(st.dictionaries(st.sampled_from(["empty", "not a number", "no finite answer"]), st.integers(1, 99)))
    scored, rejected = sum(predictions.values()), sum(reasons.values())
    return ScoredShard(
        read=f"sha256:{draw(st.integers(0, 99))}",
        rows=scored + rejected,
        scored=entry(scored),
        rejected=entry(rejected),
        reasons=reasons,
        predictions=predictions if has_classes else {},
    )


@pytest.mark.long
@given(st.lists(shards()))
def test_what_adds_up_is_told_together(found: list[ScoredShard]) -> None:
    rows = sum(shard.rows for shard in found)
    told = account(found, rows, CLASSES)
    assert told.rows == rows == told.scored + told.rejected
    assert sum(told.predictions.values()) == told.scored
    assert tuple(told.predictions) == CLASSES
    assert told.reasons == {
        reason: total
        for reason in sorted({each for shard in found for each in shard.reasons})
        if (total := sum(shard.reasons.get(reason, 0) for shard in found))
    }


@pytest.mark.long
@given(st.lists(shards(has_classes=False)))
def test_numbers_are_not_counted_by_their_value(found: list[ScoredShard]) -> None:
    told = account(found, sum(shard.rows for shard in found))
    assert told.predictions == {}
    assert told.scored == sum(each.scored.rows for each in found if each.scored)


def more_rows(shard: ScoredShard) -> dict[str, Any]:
    return {"rows": shard.rows + 1}


def lost_answer(shard: ScoredShard) -> dict[str, Any]:
    return {"scored": entry((shard.scored.rows if shard.scored else 0) + 1), "rows": shard.rows + 1}


def row_twice(shard: ScoredShard) -> dict[str, Any]:
    return {"rejected": entry((shard.rejected.rows if shard.rejected else 0) + 1), "reasons": {**shard.reasons, "x": 1}}


def no_reason(shard: ScoredShard) -> dict[str, Any]:
    return {"rejected": entry((shard.rejected.rows if shard.rejected else 0) + 1), "rows": shard.rows + 1}


def more_reasons(shard: ScoredShard) -> dict[str, Any]:
    return {"reasons": {**shard.reasons, "x": 1}}


@pytest.mark.long
@given(st.lists(shards(), min_size=1), st.data())
@pytest.mark.parametrize(
    "change", [more_rows, lost_answer, row_twice, no_reason, more_reasons], ids=lambda one: one.__name__
)
def test_one_row_too_many_or_too_few_anywhere_is_a_bug(
    change: Any, found: list[ScoredShard], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(found) - 1))
    wrong = [*found]
    wrong[place] = wrong[place].changed(**change(wrong[place]))
    with pytest.raises(Bug, match="please report it"):
        account(wrong, sum(shard.rows for shard in wrong), CLASSES)


@pytest.mark.long
@given(st.lists(shards()), st.integers(1, 10))
def test_a_row_that_the_source_delivered_and_no_shard_has_is_a_bug(found: list[ScoredShard], lost: int) -> None:
    with pytest.raises(Bug, match="scored or rejected; please report it"):
        account(found, sum(shard.rows for shard in found) + lost, CLASSES)


def test_an_answer_that_is_no_class_is_a_bug() -> None:
    shard = ScoredShard(read="sha256:0a", rows=1, scored=entry(1), predictions={"maybe": 1})
    with pytest.raises(Bug):
        account([shard], 1, CLASSES)


def test_which_rows_were_read_depends_on_their_order() -> None:
    one, two = (ScoredShard(read=f"sha256:{n}", rows=1, scored=entry(1), predictions={"no": 1}) for n in (1, 2))
    assert account([one, two], 2, CLASSES).read != account([two, one], 2, CLASSES).read
