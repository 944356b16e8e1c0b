"""A verdict on a model of numbers: compared by absolute errors, held to margins in the unit, recounted from figures."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import DataError
from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import Predictions
from pipeline.gate.evidence import Answers, Evidence, Other
from pipeline.gate.following import require_given
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.verdict import Verdict
from pipeline.storage.judged_rows import keys_of
from tests.gate.given import ANCHOR, CHAMPION, check_of, failed

TASK = task_of(Choice(name="regression", settings={"unit": "min"}), ())
LOG_LOSS = task_of(Choice(name="classification", settings={"score": "log_loss"}), ("no", "yes"))
ROWS = 4000
IDS = [f"row-{number}" for number in range(ROWS)]
RANDOM = np.random.default_rng(5)
LABELS = RANDOM.gamma(2.0, 10.0, ROWS)
NOISE = RANDOM.normal(0, 8, ROWS)
AIRPORTS = {"slice_origin": ["EWR" if row % 2 else "JFK" for row in range(ROWS - 30)] + ["LGA"] * 30}
MARGINS = {"total_margin": 0.5, "slice_margin": 1.0}


def predicted(size: float = 1.0, **moved: Any) -> npt.NDArray[np.float32]:
    """Answers that are off by so many times the noise; `moved` rows by so much more."""
    answers = LABELS + size * NOISE
    for rows, by in moved.values():
        answers[rows] += by * np.sign(NOISE[rows])
    return answers.astype(np.float32)[:, None]


def gate(name: str = "better", **settings: Any) -> GateParams:
    values = {"maximum": {"mae": 30.0}, "rule": {"name": name, "settings": {**MARGINS, **settings}}}
    return GateParams.model_validate({**values, "parity": {"rows": 4}})


def given(ours: Any, champion: Any, anchor: Any = None, *, slices: Any = None, judged_by: Any = None) -> Evidence:
    """What there is of a candidate that answers so."""
    slices = slices or {}
    test = Answers(IDS, LABELS, ours, slices)
    parts = [Predictions(list(each.ids), each.labels, each.answers, each.slices) for each in (test, test)]
    theirs = [TASK.score(LABELS, each) for each in (champion, champion if anchor is None else anchor)]
    return Evidence(
        candidate="sha256:new",
        parameters=1000,
        metrics=measuring.report(TASK, *parts),
        test_ids=IDS,
        test_labels=LABELS,
        predictions=test,
        train=test,
        served=ours[:4],
        champion=Other(CHAMPION, theirs[0], judged_by),
        anchor=Other(ANCHOR if anchor is not None else CHAMPION, theirs[1]),
        test_slices=slices,
    )


def judged(evidence: Evidence, rule: GateParams | None = None) -> Verdict:
    return judge(evidence, rule or gate(), TASK, 1, {})


def test_a_smaller_error_is_promoted_and_said_in_the_unit() -> None:
    verdict = judged(given(predicted(0.9), predicted(1.0)))
    assert verdict.promotes, verdict.reason
    assert [check.name for check in verdict.checks] == ["predictions", "maximum.mae", "parity", "step", "total"]
    assert check_of(verdict, "step").sentence == (
        "MAE: 0.6481 min better, 4 000 rows won, 0 lost of 4 000 against champion v3; it is better "
        "(by chance in less than 0.01 % of cases, at most 5 %)"
    )
    assert "it is not worse by 0.5 min or more (Z " in check_of(verdict, "total").sentence
    assert verdict.shows.startswith("4 000 rows, on which the two differ by 0.48")
    assert " min (standard deviation): a gain of " in verdict.shows
    assert verdict.against_champion is not None
    assert verdict.against_champion.differences is not None


def test_an_error_that_is_no_smaller_is_refused_by_better_and_taken_by_refresh() -> None:
    ours, theirs = predicted(1.0), predicted(1.0)
    ours[::2] += 0.05
    theirs[1::2] += 0.05
    assert failed(judged(given(ours, theirs))) == ["step"]
    assert judged(given(ours, theirs), gate("refresh")).promotes


def test_a_total_that_may_be_lost_is_in_the_unit() -> None:
    worse = given(predicted(1.06), predicted(1.0))  # by 0.38 min
    assert judged(worse, gate("refresh", total_margin=0.6)).promotes
    verdict = judged(worse, gate("refresh", total_margin=0.35))
    assert failed(verdict) == ["total"]
    assert "it may be worse by 0.35 min or more" in verdict.reason


def test_a_fault_that_so_few_rows_cannot_show_refuses_a_margin_that_it_could_cost() -> None:
    same = given(predicted(1.0), predicted(1.0))
    assert judged(same, gate("refresh", total_margin=0.2)).promotes
    verdict = judged(same, gate("refresh", total_margin=0.05))
    assert failed(verdict) == ["total"]


def test_rare_large_losses_do_not_pass_for_a_small_gain_on_all_others() -> None:
    theirs = predicted(1.0)
    ours = predicted(0.99, rare=(np.arange(0, ROWS, 400), 200.0))  # ten of 4 000 rows
    assert "step" in failed(judged(given(ours, theirs)))


def test_declared_slices_are_measured_and_held_to_the_anchor() -> None:
    rows = np.array(AIRPORTS["slice_origin"])
    ours = predicted(0.8, origin=(rows == "JFK", 3.0))
    evidence = given(ours, predicted(1.0), slices=AIRPORTS)
    verdict = judged(evidence)
    assert list(evidence.metrics.slices["origin"]) == ["EWR", "JFK", "(other)"]  # type: ignore[union-attr]
    assert "slice.origin.JFK" in failed(verdict)
    assert check_of(verdict, "slice.origin.EWR").outcome == "pass"
    assert check_of(verdict, "slice.origin.JFK").sentence.startswith("MAE of JFK: ")


def test_rare_values_that_are_too_few_together_do_not_refuse_and_are_said_to_be() -> None:
    verdict = judged(given(predicted(0.9), predicted(1.0), slices=AIRPORTS), gate(slice_margin=0.7))
    check = check_of(verdict, "slice.origin.(other)")
    assert (check.outcome, verdict.promotes) in (("off", True), ("pass", True))


RARE = np.arange(ROWS) >= ROWS - 30
ALTERNATE = np.where(np.arange(ROWS) % 2, 1.0, -1.0)


def met_by_margin(by: Any, slice_margin: float) -> Verdict:
    """Judge a candidate whose errors of rare airports are larger by so much, by the rule of before."""
    ours = LABELS + NOISE + np.sign(NOISE) * np.where(RARE, by, 0.0)
    rule = {"name": "margin", "settings": {"margin": 1.0, "slice_margin": slice_margin}}
    bounded = GateParams.model_validate({"maximum": {"mae": 30.0}, "rule": rule, "parity": {"rows": 4}})
    evidence = given(ours.astype(np.float32)[:, None], predicted(1.0), slices=AIRPORTS)
    verdict = judged(evidence, bounded)
    _require_given(verdict, bounded, slices=evidence.test_slices)  # what a verdict may be off in, it is held to as well
    return verdict


def test_the_rule_of_before_does_not_judge_rare_values_that_are_too_few_together_either() -> None:
    verdict = met_by_margin(4.0 * ALTERNATE, slice_margin=0.5)  # as good, and 30 rows cannot show it
    check = check_of(verdict, "slice.origin.(other)")
    assert check.outcome == "off"
    assert check.sentence.endswith("; not judged: values that have too few rows each, and too few together")
    assert verdict.promotes, verdict.reason


def test_the_rule_of_before_judges_rare_values_where_their_rows_suffice() -> None:
    assert check_of(met_by_margin(0.1 * ALTERNATE, slice_margin=0.5), "slice.origin.(other)").outcome == "pass"
    verdict = met_by_margin(1.0 + 0.1 * ALTERNATE, slice_margin=0.5)
    assert failed(verdict) == ["slice.origin.(other)"]
    assert not check_of(verdict, "slice.origin.(other)").sentence.endswith("it is worse")


def test_the_rule_of_before_refuses_who_is_proven_worse_on_rare_values_however_few_they_are() -> None:
    verdict = met_by_margin(6.0 + 4.0 * ALTERNATE, slice_margin=0.5)
    assert failed(verdict) == ["slice.origin.(other)"]
    assert check_of(verdict, "slice.origin.(other)").sentence.endswith("; it is worse")


def test_a_bound_may_be_on_a_declared_slice() -> None:
    bounded = gate().model_dump()
    bounded["slices"] = {"origin": {"EWR": {"maximum": {"mae": 1.0}}, "JFK": {"maximum": {"rmse": 30.0}}}}
    verdict = judged(given(predicted(0.9), predicted(1.0), slices=AIRPORTS), GateParams.model_validate(bounded))
    assert failed(verdict) == ["slices.origin.EWR.maximum.mae"]
    assert check_of(verdict, "slices.origin.JFK.maximum.rmse").has_passed


def test_slices_that_are_not_those_of_the_test_rows_are_refused() -> None:
    evidence = given(predicted(0.9), predicted(1.0), slices=AIRPORTS)
    swapped = {"slice_origin": AIRPORTS["slice_origin"][::-1]}
    verdict = judged(dataclasses.replace(evidence, test_slices=swapped))
    assert verdict.reason.startswith("the slices of the predictions are not those of the test rows")
    assert judged(evidence).test_digest != judged(given(predicted(0.9), predicted(1.0))).test_digest


def test_the_same_verdict_follows_from_its_figures() -> None:
    require(judged(given(predicted(0.9), predicted(1.0), slices=AIRPORTS)))


@pytest.mark.parametrize(("key", "value"), [("mean", 0.0), ("deviation", 500.0), ("reach", 1e6)])
def test_figures_that_say_otherwise_than_the_checks_are_found(key: str, value: float) -> None:
    verdict = judged(given(predicted(0.9), predicted(1.0), slices=AIRPORTS))
    written = verdict.to_json()
    for role in ("against_champion", "against_anchor"):
        written[role]["differences"][key] = value
    with pytest.raises(DataError, match="what its counts do not say"):
        require(Verdict.from_json(written, "verdict"))


def test_a_verdict_of_counts_is_none_on_losses() -> None:
    written = judged(given(predicted(0.9), predicted(1.0), slices=AIRPORTS)).to_json()
    for role in ("against_champion", "against_anchor"):
        del written[role]["differences"]
    with pytest.raises(DataError, match="does not compare models by MAE"):
        require(Verdict.from_json(written, "verdict"))


def require(verdict: Verdict) -> None:
    _require_given(verdict, gate(), slices=AIRPORTS)


def _require_given(verdict: Verdict, rule: GateParams, slices: Any) -> None:
    by: dict[str, Any] = {"seed": 1, "code": {}, "parameters": 1000}
    require_given(verdict, rule, TASK, ids=IDS, labels=LABELS, slices=slices, **by)


@pytest.mark.long
def test_a_model_that_is_exported_differently_is_found_in_any_unit() -> None:
    for unit in (1e-6, 1.0, 1e6):
        ours = (unit * predicted(0.9)).astype(np.float32)
        evidence = dataclasses.replace(
            given(predicted(0.9), predicted(1.0)), predictions=Answers(IDS, LABELS, ours), served=ours[:4]
        )
        assert check_of(judged(evidence), "parity").has_passed
        off = dataclasses.replace(evidence, served=ours[:4] + np.float32(unit))
        assert "by more than 0.0001 standard deviations" in check_of(judged(off), "parity").sentence


@pytest.mark.long
def test_the_champion_on_newer_rows_is_told_in_the_unit_and_lower_is_better() -> None:
    older = np.arange(ROWS) < 2000
    theirs = predicted(1.0, newer=(~older, 6.0))
    listed = keys_of(IDS[:2000])
    words = judged(given(predicted(0.9), theirs, judged_by=listed)).over_use
    assert words.startswith("MAE of champion v3: ")
    assert " min on the 2 000 that it was judged by, " in words
    assert words.endswith(
        "it does worse on the newer rows: the older ones were used too often, or the newer ones are harder"
    )
    same = judged(given(predicted(0.9), predicted(1.0), judged_by=listed)).over_use
    assert same.endswith(" min")
    assert "no sign of over-use" in same


def test_log_loss_compares_how_sure_two_models_are() -> None:
    labels = (np.arange(ROWS) % 2).astype(np.int32)

    def answers(sure: float) -> npt.NDArray[np.float32]:
        of_truth = np.where(np.arange(ROWS) % 5, sure, 1 - sure)
        both = np.stack([1 - of_truth, of_truth], axis=1)
        return np.where(labels[:, None] == 1, both, both[:, ::-1]).astype(np.float32)

    scores = {sure: LOG_LOSS.score(labels, answers(sure)) for sure in (0.8, 0.95)}
    assert scores[0.8].mean() == pytest.approx(-LOG_LOSS.measure(labels, answers(0.8))["cross_entropy"])
    assert scores[0.8].mean() > scores[0.95].mean(), "as often right, and less sure where it is wrong"
    assert (LOG_LOSS.score_title, LOG_LOSS.scored_by.name) == ("cross-entropy", "cross_entropy")
    assert LOG_LOSS.score_title_of("class") == "cross-entropy"
