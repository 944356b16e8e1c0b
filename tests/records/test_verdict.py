"""A verdict follows from its checks, and from nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.records.identity import Identity
from pipeline.records.verdict import GateCheck, Matched, Verdict

PASSED = GateCheck(name="a", figure=0.9, bound=0.6, outcome="pass", sentence="0.9 is at least 0.6")
FAILED = GateCheck(name="b", figure=0.5, bound=0.6, outcome="fail", sentence="0.5 is below 0.6")


def verdict_of(*checks: GateCheck) -> Verdict:
    return Verdict.of(checks, "because", "sha256:0e", None)


def test_a_candidate_that_passes_every_check_is_let_through() -> None:
    assert verdict_of(PASSED, PASSED).promotes


@pytest.mark.parametrize("checks", [(FAILED,), (PASSED, FAILED), (FAILED, PASSED)])
def test_one_failed_check_is_enough_to_refuse(checks: tuple[GateCheck, ...]) -> None:
    assert not verdict_of(*checks).promotes


def test_no_check_is_a_refusal() -> None:
    assert verdict_of().outcome == "refuse"


@pytest.mark.parametrize(
    ("checks", "outcome"), [((PASSED,), "refuse"), ((FAILED,), "promote"), ((PASSED, FAILED), "promote")]
)
def test_an_outcome_that_contradicts_its_checks_is_not_read(checks: tuple[GateCheck, ...], outcome: str) -> None:
    with pytest.raises(DataError, match=rf"x\.json: its outcome '{outcome}' contradicts its checks"):
        Verdict.from_json({**verdict_of(*checks).to_json(), "outcome": outcome}, "x.json")


def test_a_promotion_without_a_check_is_not_read() -> None:
    with pytest.raises(DataError, match=r"x\.json: its outcome 'promote' contradicts its checks"):
        Verdict.from_json({**verdict_of().to_json(), "outcome": "promote"}, "x.json")


def test_an_outcome_is_not_changed_by_itself() -> None:
    with pytest.raises(ValidationError, match="contradicts its checks"):
        verdict_of(FAILED).changed(outcome="promote")


@pytest.mark.parametrize("outcome", [True, "passed", "", None])
def test_a_check_with_another_outcome_is_not_read(outcome: object) -> None:
    value = verdict_of(FAILED).to_json()
    value["checks"][0]["outcome"] = outcome
    with pytest.raises(DataError, match=r"x\.json: checks\.0\.outcome: "):
        Verdict.from_json(value, "x.json")


def test_a_check_whose_figure_is_nan_is_not_read() -> None:
    value = verdict_of(FAILED).to_json()
    value["checks"][0]["figure"] = float("nan")
    with pytest.raises(DataError, match=r"x\.json: checks\.0\.figure: a finite number is needed"):
        Verdict.from_json(value, "x.json")


def test_a_promoted_candidate_that_is_better_moves_the_anchor() -> None:
    def moves(check: GateCheck, *, is_better: bool) -> bool:
        return Verdict.of([check], "because", "sha256:0e", None, is_better=is_better).moves_anchor

    assert moves(PASSED, is_better=True)
    assert not moves(PASSED, is_better=False)
    assert not moves(FAILED, is_better=True)


def test_a_refusal_that_moves_the_anchor_is_not_read() -> None:
    with pytest.raises(DataError, match=r"x\.json: it moves the anchor to a candidate that it refuses"):
        Verdict.from_json({**verdict_of(FAILED).to_json(), "moves_anchor": True}, "x.json")


@pytest.mark.parametrize("key", ["anchor", "rule_digest", "test_digest", "against_anchor", "moves_anchor", "shows"])
def test_only_a_verdict_of_before_may_lack_an_anchor_and_a_rule(key: str) -> None:
    value = verdict_of(PASSED).to_json()
    del value[key]
    with pytest.raises(DataError, match=rf"x\.json: {key}: is missing"):
        Verdict.from_json(value, "x.json")
    del value["record_version"]
    assert not Verdict.from_json(value, "x.json").moves_anchor


def test_a_check_that_is_switched_off_does_not_refuse_and_is_not_enough() -> None:
    off = GateCheck(name="c", figure=None, bound=None, outcome="off", sentence="few rows")
    assert verdict_of(PASSED, off).promotes
    assert not verdict_of(off).promotes


def test_failed_checks_are_of_more_interest() -> None:
    assert verdict_of(PASSED, FAILED).in_order_of_interest == [FAILED, PASSED]


def test_a_check_that_has_passed_its_bound_without_a_figure_is_refused() -> None:
    value = verdict_of(PASSED).to_json()
    value["checks"][0] |= {"figure": None, "bound": 0.5}
    with pytest.raises(DataError, match="has passed without a figure for its bound"):
        Verdict.from_json(value, "verdict.json")


def test_a_verdict_of_before_knows_no_anchor_and_no_rule() -> None:
    value = verdict_of(PASSED).to_json()
    before = {"anchor": None, "rule": "", "rule_digest": "", "test_digest": "", "against_champion": None}
    before |= {"against_anchor": None, "moves_anchor": False, "shows": "", "renewal": None, "over_use": ""}
    for key in (*before, "record_version"):
        del value[key]
    found = Verdict.from_json(value, "x.json").to_json()
    assert {key: found[key] for key in before} == before
    assert found["record_version"] == Verdict.VERSION


def test_a_verdict_of_before_keeps_what_it_says_itself() -> None:
    value = verdict_of(PASSED).to_json() | {"shows": "much"}
    del value["record_version"]
    assert Verdict.from_json(value, "x.json").shows == "much"


def test_a_verdict_says_no_more_than_it_is_given() -> None:
    found = Verdict.of([PASSED], "because", "sha256:0e", None)
    assert (found.anchor, found.rule, found.rule_digest, found.test_digest, found.shows) == (None, "", "", "", "")
    assert (found.against_champion, found.against_anchor, found.moves_anchor) == (None, None, False)
    assert (found.reason, found.candidate, found.champion) == ("because", "sha256:0e", None)
    said = {
        "anchor": Identity(name="pets", version=2, digest="sha256:a"),
        "rule": "better",
        "rule_digest": "sha256:r",
        "test_digest": "sha256:t",
        "against_champion": Matched(rows=9, won=2, lost=1),
        "against_anchor": Matched(rows=9, won=3, lost=0),
        "shows": "much",
    }
    champion = Identity(name="pets", version=3, digest="sha256:c")
    full = Verdict.of([PASSED], "because", "sha256:0e", champion, is_better=True, **said)
    assert {key: getattr(full, key) for key in said} == said
    assert (full.champion, full.moves_anchor, full.checks) == (champion, True, (PASSED,))


@pytest.mark.parametrize(
    ("counts", "is_one"),
    [
        ({"rows": 3, "won": 2, "lost": 1}, True),
        ({"rows": 0, "won": 0, "lost": 0}, True),
        ({"rows": 3, "won": 2, "lost": 2}, False),
        ({"rows": 3, "won": -1, "lost": 1}, False),
        ({"rows": 3, "won": 1, "lost": -1}, False),
    ],
)
def test_a_match_counts_rows_that_are_there(counts: dict[str, int], is_one: bool) -> None:
    if is_one:
        assert Matched(**counts).won == counts["won"]
    else:
        with pytest.raises(ValidationError, match=f"{counts['won']} won and {counts['lost']} lost of 3 rows"):
            Matched(**counts)


def test_only_a_check_with_a_bound_needs_a_figure_to_pass() -> None:
    without = GateCheck(name="first", figure=None, bound=None, outcome="pass", sentence="first model")
    assert verdict_of(without).promotes
    unknown = GateCheck(name="b", figure=None, bound=0.6, outcome="fail", sentence="not known")
    assert not verdict_of(PASSED, unknown).promotes
    assert [check.has_passed for check in (PASSED, FAILED)] == [True, False]
