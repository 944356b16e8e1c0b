"""A verdict follows from its checks, and from nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.records.verdict import GateCheck, Verdict

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
