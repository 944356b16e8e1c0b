"""What the champion's figures on older and newer test rows say of over-use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.matches import Scored
from pipeline.gate.renewal import in_words, renewal_of
from pipeline.records.verdict import Renewal
from pipeline.storage.judged_rows import keys_of
from tests.gate.given import CHAMPION, IDS, TASK, judged, other, rule, scores

GATE = rule()


def champion(before: list[bool], since: list[bool], gone: int = 0) -> tuple[Scored, list[str]]:
    """A champion that has these older and newer rows right or wrong, and the ids of the rows."""
    ids = [f"row-{number}" for number in range(len(before) + len(since))]
    listed = [*ids[: len(before)], *(f"gone-{number}" for number in range(gone))]
    found = Scored(CHAMPION, np.array([*before, *since], np.float64), np.sort(keys_of(listed)))
    return found, ids


def said(before: list[bool], since: list[bool], gone: int = 0) -> str:
    met, ids = champion(before, since, gone)
    return in_words(renewal_of(met, ids, GATE, TASK, 1), met)


def right(rows: int, wrong: int) -> list[bool]:
    return [number >= wrong for number in range(rows)]


def test_rows_that_have_come_are_told_from_those_it_was_judged_by() -> None:
    met, ids = champion(right(1000, 100), right(200, 30), gone=7)
    found = renewal_of(met, ids, GATE, TASK, 1)
    assert found is not None
    assert (found.today.rows, found.judged_by.rows, found.since.rows, found.gone) == (1200, 1000, 200, 7)
    assert (found.judged_by.figure, found.since.figure) == (0.9, 0.85)
    assert found.today.figure == pytest.approx(1070 / 1200)


@given(st.lists(st.booleans(), max_size=30), st.lists(st.booleans(), max_size=30), st.integers(0, 5), st.randoms())
def test_the_order_of_the_rows_does_not_matter(before: list[bool], since: list[bool], gone: int, random) -> None:  # type: ignore[no-untyped-def]
    met, ids = champion(before, since, gone)
    order = list(range(len(ids)))
    random.shuffle(order)
    mixed = Scored(CHAMPION, met.scores[order], met.judged_by)
    found = renewal_of(met, ids, GATE, TASK, 1)
    assert found == renewal_of(mixed, [ids[number] for number in order], GATE, TASK, 1)
    assert found is not None
    assert (found.judged_by.rows, found.since.rows, found.gone) == (len(before), len(since), gone)


def test_a_champion_that_falls_off_on_newer_rows_is_a_sign_of_over_use() -> None:
    words = said(right(2000, 100), right(2000, 300))
    assert words.startswith(
        "accuracy of champion v3: 0.9000 on all 4 000 test rows, 0.9500 on the 2 000 that it was judged by, "
        "0.8500 (0.8362 to 0.8630, at 95 % confidence on either side) on the 2 000 that have come since"
    )
    assert words.endswith(
        "it does worse on the newer rows: the older ones were used too often, or the newer ones are harder"
    )


def test_few_newer_rows_are_said_to_show_little() -> None:
    words = said(right(2000, 100), right(5, 1))
    assert "0.8000 (0.3426 to 0.9898, at 95 % confidence on either side) on the 5 that have come since" in words
    assert words.endswith("no sign of over-use: on so few rows as 5, chance alone may take 19 points")


def test_where_nothing_has_come_that_is_said() -> None:
    assert said(right(400, 40), []) == (
        "the test rows are those that champion v3 was judged by: none has come since, none is gone"
    )
    assert said(right(399, 40), [], gone=1) == (
        "the 399 test rows are among those that champion v3 was judged by: none has come since, "
        "1 that it was judged by is gone"
    )


def test_where_all_rows_are_new_nothing_is_compared() -> None:
    words = said([], right(400, 40), gone=300)
    assert "on none of those that it was judged by, 0.9000 (" in words
    assert words.endswith("have come since; 300 that it was judged by are gone")


def test_of_a_champion_without_a_list_that_is_said() -> None:
    met = Scored(CHAMPION, scores(range(10)))
    assert renewal_of(met, IDS, GATE, TASK, 1) is None
    assert judged().over_use == (
        "which test rows champion v3 was judged by is not known: no whole list of them came with it"
    )


def test_the_verdict_does_not_hang_on_it() -> None:
    met = other(CHAMPION, won=60, lost=20)
    listed = replace(met, judged_by=np.sort(keys_of(IDS[:1900])))
    without, found = judged(champion=met), judged(champion=listed)
    assert isinstance(found.renewal, Renewal)
    assert found.renewal.since.rows == 100
    assert found.changed(renewal=None, over_use=without.over_use) == without


def test_a_first_model_has_none() -> None:
    found = judged(champion=None, anchor=None)
    assert (found.renewal, found.over_use) == (None, "")
