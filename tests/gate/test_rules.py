"""The rules: what each of them lets through, row by row of the cases that have to be decided."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import UsageError
from pipeline.gate import digests
from pipeline.gate.comparison import compare
from pipeline.gate.evidence import Other
from pipeline.gate.matches import Matches, Scored
from pipeline.gate.paired import Counts, has_power, mid_p, tango, z_at
from pipeline.gate.rules import better, margin, refresh
from pipeline.gate.rules.refresh import Settings
from pipeline.recipe.recipe import load_recipe
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.verdict import Matched
from tests.evaluation.made_task import made_task
from tests.gate.given import (
    ANCHOR,
    CHAMPION,
    CLASSES,
    LABELS,
    ROWS,
    TASK,
    WRONG,
    answers,
    check_of,
    failed,
    judged,
    met,
    metrics_of,
    other,
    rule,
    scores,
)
from tests.ranges import assert_ranges

ROOT = Path(__file__).parents[2]


def test_a_proven_gain_that_loses_nothing_elsewhere_is_promoted() -> None:
    verdict = met(won=60, lost=20)
    assert [check.name for check in verdict.checks if check.name not in ("predictions", "parity")][-4:] == [
        *("step", "total", "slice.class.cat", "slice.class.dog"),
    ]
    assert verdict.promotes, verdict.reason
    assert check_of(verdict, "step").sentence == (
        "accuracy: 60 rows won, 20 lost of 2 000 against champion v3; it is better "
        "(by chance in less than 0.01 % of cases, at most 5 %)"
    )


@pytest.mark.parametrize(("won", "lost", "passes"), [(31, 19, True), (30, 20, False), (20, 30, False), (5, 0, True)])
def test_the_step_takes_five_in_a_hundred_by_the_mid_p(won: int, lost: int, passes: bool) -> None:
    check = check_of(met(won, lost), "step")
    assert check.figure is not None
    assert check.has_passed is passes is (check.figure <= 0.05)


def test_two_that_answer_alike_are_refused_by_better_and_said_to() -> None:
    verdict = met(won=0, lost=0)
    assert failed(verdict) == ["step"]
    assert verdict.reason.endswith("; the two answer alike on these 2 000 rows")
    assert verdict.shows == "2 000 rows, on all of which the two answer alike: no gain can be found"


def test_as_many_rows_won_as_lost_are_no_gain_and_not_said_to_be_answered_alike() -> None:
    check = check_of(met(won=7, lost=7), "step")
    assert not check.has_passed
    assert check.figure == pytest.approx(0.5)
    assert "it is not proven better" in check.sentence


@pytest.mark.parametrize(("margin", "promotes"), [(0.01, True), (0.006, False)])
def test_two_that_answer_alike_are_let_through_by_refresh_on_enough_rows(margin: float, promotes: bool) -> None:
    verdict = met(won=0, lost=0, name="refresh", total_margin=margin)
    assert verdict.promotes is promotes
    if promotes:
        assert check_of(verdict, "total").figure == pytest.approx(np.sqrt(ROWS * 0.01 / 0.99), abs=1e-6)
    else:
        assert "on fewer than 2 194 rows nothing passes a total margin of 0.6 points" in verdict.reason


def test_refresh_asks_for_no_gain() -> None:
    verdict = met(won=2, lost=2, name="refresh")
    assert verdict.promotes
    assert not verdict.moves_anchor
    assert "step" not in [check.name for check in verdict.checks]


def test_the_total_holds_against_the_anchor_and_not_the_champion() -> None:
    slid = other(ANCHOR, won=40, lost=60)
    verdict = judged(champion=other(CHAMPION, won=60, lost=20), anchor=slid)
    assert failed(verdict) == ["total"]
    assert verdict.reason.startswith(
        "accuracy: 40 rows won, 60 lost of 2 000 against anchor v2; it may be worse by 1 point"
    )


def test_one_class_that_loses_too_much_refuses_whatever_the_other_wins() -> None:
    worse = answers(range(1000, 1240, 2))  # 120 cats
    before = Other(CHAMPION, scores(range(1, 601, 2)))  # 300 dogs
    verdict = judged(
        predictions=worse,
        metrics=metrics_of(worse, answers(range(20))),
        served=worse.answers[:4],
        champion=before,
        anchor=before,
    )
    assert failed(verdict) == ["slice.class.cat"]
    assert "recall of cat: 0 rows won, 120 lost of 1 000" in verdict.reason


def test_a_slice_has_a_margin_of_its_own() -> None:
    assert failed(met(won=60, lost=20, slice_margins={"class": {"cat": 0.002}})) == []
    assert failed(met(won=60, lost=60, name="refresh", total_margin={"none": "a test"}, slice_margin=0.01)) == [
        *("slice.class.cat", "slice.class.dog"),
    ]


def test_a_slice_without_power_is_not_judged_and_refuses() -> None:
    check = check_of(met(won=2, lost=2, name="refresh", slice_margins={"class": {"cat": 0.002}}), "slice.class.cat")
    assert not check.has_passed
    assert check.sentence == "recall of cat: 1 row won, 1 lost of 1 000 against anchor v3; not judged: needs 2 185 rows"


def test_a_slice_that_may_stay_unjudged_does_not_refuse_and_says_why() -> None:
    settings = {"slice_margins": {"class": {"cat": 0.002}}, "unjudged": {"class": {"cat": "few cats"}}}
    verdict = met(won=2, lost=2, name="refresh", **settings)
    check = check_of(verdict, "slice.class.cat")
    assert (check.outcome, verdict.promotes) == ("off", True)
    assert check.sentence.endswith("rows: few cats")


def test_what_may_stay_unjudged_must_not_be_proven_worse() -> None:
    settings = {"slice_margins": {"class": {"cat": 0.002}}, "unjudged": {"class": {"cat": "few cats"}}}
    check = check_of(met(won=0, lost=20, name="refresh", **settings), "slice.class.cat")
    assert check.outcome == "fail"
    assert check.sentence.endswith("; it is worse")


def test_what_may_stay_unjudged_is_judged_where_it_can_be() -> None:
    settings = {"total_margin": {"none": "a test"}, "slice_margin": 0.05, "unjudged": {"class": {"cat": "few"}}}
    verdict = met(won=0, lost=99, name="refresh", **settings)
    assert "slice.class.cat" in failed(verdict)


def test_a_rule_that_is_switched_off_says_why() -> None:
    verdict = met(
        won=60, lost=20, total_margin={"none": "a new sensor"}, slice_margin={"none": "no classes of interest"}
    )
    off = {check.name: check.sentence for check in verdict.checks if check.outcome == "off"}
    assert off == {
        "total": "a new sensor",
        "slice.class.cat": "no classes of interest",
        "slice.class.dog": "no classes of interest",
    }
    assert verdict.promotes


@pytest.mark.long
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_winning_more_rows_never_turns_a_promotion_into_a_refusal(won: int, more: int, lost: int) -> None:
    assert not met(won, lost).promotes or met(won + more, lost).promotes


@pytest.mark.parametrize(
    ("against_anchor", "moves"), [((31, 19), True), ((30, 20), False), ((50, 50), False), ((0, 0), False)]
)
def test_the_anchor_moves_only_to_what_is_proven_better_than_it(against_anchor: tuple[int, int], moves: bool) -> None:
    off = {"none": "a test"}
    verdict = judged(
        rule("better", total_margin=off),
        champion=other(CHAMPION, won=60, lost=20),
        anchor=other(ANCHOR, *against_anchor),
    )
    assert verdict.promotes
    assert verdict.moves_anchor is moves


def test_a_refused_candidate_never_moves_the_anchor() -> None:
    verdict = judged(champion=other(CHAMPION, won=0, lost=60), anchor=other(ANCHOR, won=80, lost=20))
    assert (verdict.promotes, verdict.moves_anchor) == (False, False)


def test_a_verdict_keeps_both_matches_and_what_it_was_judged_by() -> None:
    verdict = judged()
    assert verdict.against_champion == Matched(rows=ROWS, won=60, lost=20)
    assert verdict.against_anchor == Matched(rows=ROWS, won=80, lost=20)
    assert (verdict.champion, verdict.anchor, verdict.rule) == (CHAMPION, ANCHOR, "better")
    assert verdict.test_digest.startswith("sha256:")


@pytest.mark.parametrize("changed", [{"error": 0.01}, {"total_margin": 0.02}, {"verdicts": 10}, {"slice_margin": 0.1}])
def test_another_rule_has_another_digest(changed: dict[str, Any]) -> None:
    assert judged(rule(**changed)).rule_digest != judged().rule_digest == judged(rule(error=0.05)).rule_digest


def test_whatever_else_decides_a_verdict_is_in_the_digest_of_its_rule() -> None:
    bins = task_of(Choice(name="classification", settings={"calibration_bins": 7}), CLASSES)
    before = digests.rule_digest(rule(), TASK, 1, {"pipeline/gate/paired.py": "sha256:1"})
    assert judged().rule_digest == digests.rule_digest(rule(), TASK, 1, {}) != before
    assert digests.rule_digest(rule(), TASK, 2, {"pipeline/gate/paired.py": "sha256:1"}) != before
    assert digests.rule_digest(rule(), TASK, 1, {"pipeline/gate/paired.py": "sha256:2"}) != before
    assert digests.rule_digest(rule(), bins, 1, {"pipeline/gate/paired.py": "sha256:1"}) != before


def test_every_verdict_says_what_these_rows_can_show() -> None:
    assert met(won=58, lost=58).shows == (
        "2 000 rows, exactly one of the two right on 5.8 %: a gain of 1.4 points would be found four times in five; "
        "+1 point needs 3 586 rows"
    )


def test_the_rule_of_before_lets_through_what_loses_a_little() -> None:
    margins = {"margin": 0.02, "slice_margin": 0.12}
    assert met(won=20, lost=30, name="margin", **margins).promotes
    verdict = met(won=20, lost=70, name="margin", **margins)
    assert failed(verdict) == ["margin"]
    assert verdict.reason.startswith("accuracy: -0.0250 against champion v3 on 2000 rows, at worst -0.03")
    assert not met(won=20, lost=30, name="margin", **margins).moves_anchor
    assert met(won=60, lost=20, name="margin", **margins).moves_anchor


def test_below_a_number_of_rows_nothing_passes() -> None:
    assert Settings().fewest_rows == 1311
    assert Settings(total_margin=0.02).fewest_rows == 649
    assert Settings.model_validate({"total_margin": {"none": "why"}}).fewest_rows == 0


def test_a_step_that_is_by_chance_exactly_as_often_as_allowed_is_one() -> None:
    chance = mid_p(Counts(ROWS, won=31, lost=19))
    for error, passes in ((chance, True), (math.nextafter(chance, 0), False)):
        assert check_of(met(won=31, lost=19, error=error), "step").has_passed is passes, error


def test_the_anchor_moves_at_exactly_the_chance_that_is_allowed() -> None:
    chance = mid_p(Counts(ROWS, won=31, lost=19))
    for error, moves in ((chance, True), (math.nextafter(chance, 0), False)):
        verdict = met(won=31, lost=19, name="refresh", error=error)
        assert verdict.promotes
        assert verdict.moves_anchor is moves, error


def test_a_score_that_is_exactly_what_is_needed_is_enough() -> None:
    counts = Counts(ROWS, won=40, lost=45)
    score = tango(40, 45, ROWS, 0.01)
    assert refresh._scored("total", "what", counts, 0.01, score).has_passed
    assert not refresh._scored("total", "what", counts, 0.01, math.nextafter(score, 9)).has_passed


def test_a_slice_is_judged_at_the_error_and_the_total_at_its_share_of_it() -> None:
    verdict = met(won=60, lost=20, name="refresh", error=0.1, verdicts=10)
    assert check_of(verdict, "slice.class.cat").bound == pytest.approx(-NormalDist().inv_cdf(0.1))
    assert check_of(verdict, "total").bound == pytest.approx(-NormalDist().inv_cdf(0.01))


def test_a_slice_without_rows_is_not_judged() -> None:
    check = refresh._slice(Settings(), "class", "cat", Counts(0, 0, 0), "what")
    assert (check.outcome, check.figure, check.sentence) == ("fail", None, "what; not judged")


def test_a_slice_that_passes_needs_no_power() -> None:
    settings = Settings(slice_margin=0.01)
    assert not has_power(Counts(500, won=30, lost=0), 0.01, z_at(0.05))
    assert refresh._slice(settings, "class", "cat", Counts(500, won=30, lost=0), "what").has_passed


def test_exactly_the_fewest_rows_are_enough() -> None:
    given = Settings(total_margin=0.02)
    alike = Counts(given.fewest_rows, 0, 0)
    z = z_at(given.error / given.verdicts)
    assert tango(0, 0, alike.rows, 0.02) >= z > tango(0, 0, alike.rows - 1, 0.02)
    identity = CHAMPION
    for rows, passes in ((given.fewest_rows, True), (given.fewest_rows - 1, False)):
        same = Scored(identity, np.ones(rows))
        check = refresh._total(given, Matches(np.ones(rows), same, same, {}, 1).counted, TASK)
        assert check.has_passed is passes


def test_the_rule_of_before_takes_a_loss_that_is_exactly_the_margin() -> None:
    lower = compare(scores(WRONG), met_by(30, 40), confidence=0.95, resamples=2000, seed=(1, 0)).lower
    for may_be_lost, passes in ((-lower, True), (math.nextafter(-lower, 0), False)):
        verdict = met(won=30, lost=40, name="margin", margin=may_be_lost, slice_margin=0.2)
        assert check_of(verdict, "margin").has_passed is passes


def met_by(won: int, lost: int) -> Any:
    return other(CHAMPION, won, lost).scores


def test_the_rule_of_before_draws_by_the_run_s_seed_and_for_each_slice_anew() -> None:
    margins = {"margin": 0.1, "slice_margin": 0.1, "resamples": 400, "confidence": 0.9}
    verdict = met(won=30, lost=40, name="margin", **margins)
    found = {check.name: check.figure for check in verdict.checks}
    of_class = LABELS == 1
    dogs = compare(scores(WRONG)[of_class], met_by(30, 40)[of_class], confidence=0.9, resamples=400, seed=(1, 2))
    assert found["slice.class.dog"] == pytest.approx(dogs.lower, abs=1e-6)
    all_rows = compare(scores(WRONG), met_by(30, 40), confidence=0.9, resamples=400, seed=(1, 0))
    assert found["margin"] == pytest.approx(all_rows.lower, abs=1e-6)
    assert verdict.shows == (
        f"2000 rows: at 90% confidence, chance alone may take {all_rows.difference - all_rows.lower:.4f}"
    )


def test_the_rule_of_before_proves_nothing_where_it_may_be_nothing() -> None:
    margins = {"margin": 0.1, "slice_margin": 0.1}
    assert not met(won=0, lost=0, name="margin", **margins).moves_anchor
    assert met(won=10, lost=0, name="margin", **margins).moves_anchor


def test_the_rule_of_before_holds_each_slice_to_its_own_margin_or_none() -> None:
    verdict = met(won=0, lost=40, name="margin", margin={"none": "why"}, slice_margin=0.01)
    assert failed(verdict) == ["slice.class.cat", "slice.class.dog"]
    assert check_of(verdict, "margin").sentence == "why"
    assert check_of(verdict, "slice.class.cat").sentence.startswith(
        "recall of cat: -0.0200 against champion v3 on 1000"
    )
    assert check_of(verdict, "slice.class.cat").bound == -0.01


def test_what_has_no_rows_cannot_be_compared_by_the_rule_of_before() -> None:
    given = margin.Settings(margin=0.1, slice_margin=0.1)
    found = compare(np.empty(0), np.empty(0), confidence=0.95, resamples=400, seed=(1, 0))
    check = margin._check("slice.a", "recall of a", "champion v3", 0.1, found, given)
    assert (check.outcome, check.figure, check.bound) == ("fail", None, -0.1)
    assert check.sentence == "recall of a cannot be compared with champion v3: no rows"


@pytest.mark.parametrize("settings", [Settings, better.Settings])
def test_the_ranges_and_defaults_of_the_rules(settings: type[Settings]) -> None:
    assert settings().model_dump() == {
        "error": 0.05,
        "total_margin": None,
        "verdicts": 365,
        "slice_margin": None,
        "slice_margins": {},
        "unjudged": {},
    }
    assert (settings().of_total, settings().of_slice("class", "cat")) == (0.01, 0.07)
    assert_ranges(settings, {}, error=(1e-9, 0.4999, 0.0, 0.5), verdicts=(1, 1_000_000, 0, 1_000_001))
    many = {f"column {number}": {"a": "why"} for number in range(101)}
    for key, value in (("unjudged", "why"), ("slice_margins", 0.1)):
        columns = {name: {"a": value} for name in many}
        settings.model_validate({key: dict(list(columns.items())[:100])})
        for refused in (columns, {"a": {"b": ""}}, {"a": {"b": " "}}, {"a": {"b": "x" * 501}}):
            with pytest.raises(ValidationError):
                settings.model_validate({key: refused})
    assert settings.model_validate({"unjudged": {"a": {"b": "x" * 500}}}).unjudged["a"]["b"]


def test_the_ranges_and_defaults_of_the_rule_of_before() -> None:
    given = {"margin": 0.1, "slice_margin": 0.1}
    assert margin.Settings.model_validate(given).model_dump() == {**given, "confidence": 0.95, "resamples": 2000}
    assert_ranges(margin.Settings, {**given, "resamples": 100_000}, confidence=(0.51, 0.999, 0.5, 1.0))
    assert_ranges(margin.Settings, {**given, "confidence": 0.6}, resamples=(50, 100_000, 49, 100_001))
    for key in given:
        with pytest.raises(ValidationError):
            margin.Settings.model_validate({name: value for name, value in given.items() if name != key})


def test_margins_of_a_loss_must_be_given_and_those_of_right_and_wrong_are_shares() -> None:
    recipe = load_recipe(ROOT)
    better.check(better.Settings(), recipe)
    better.check(better.Settings(total_margin=0.4999, slice_margins={"class": {"cat": 0.4}}), recipe)
    too_wide = r"^gate\.rule\.settings\.[a-z_.]+: must be below 0\.5, as a share of rows: at .* a coin passes$"
    for values in ({"total_margin": 0.5}, {"slice_margin": 3}, {"slice_margins": {"class": {"cat": 0.5}}}):
        with pytest.raises(UsageError, match=too_wide):
            better.check(better.Settings.model_validate(values), recipe)
    with pytest.raises(UsageError, match=r"^gate\.rule\.settings\.margin: must be below 0\.5"):
        margin.check(margin.Settings(margin=0.5, slice_margin=0.1), recipe)
    with made_task() as name:
        other_task = recipe.model_copy(update={"task": Choice(name=name)})
        said = r"^gate\.rule\.settings\.total_margin: is missing; say how much closeness may be lost, in steps, or"
        with pytest.raises(UsageError, match=said):
            better.check(better.Settings(), other_task)
        better.check(better.Settings(total_margin=2), other_task)
        better.check(better.Settings.model_validate({"total_margin": {"none": "a new target"}}), other_task)
        margin.check(margin.Settings(margin=2, slice_margin=9), other_task)


def test_settings_name_the_slices_that_they_are_about() -> None:
    found = Settings(slice_margins={"class": {"cat": 0.1}}, unjudged={"class": {"dog": "few"}})
    assert found.named_slices == {"slice_margins": {"class": {"cat": 0.1}}, "unjudged": {"class": {"dog": "few"}}}
    assert found.total == (0.01, z_at(0.05 / 365))
    assert Settings.model_validate({"total_margin": {"none": "why"}}).total is None
