"""The gate: closed by default, whatever the evidence lacks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.gate.evidence import Answers, Comparison, Unknown
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import Minimum
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import GateCheck, Verdict
from tests.gate.given import (
    CHAMPION,
    CLASSES,
    LABELS,
    METRICS,
    ROWS,
    RULE,
    TEST_METRICS,
    difference,
    evidence,
    failed,
    metrics,
    probabilities,
)
from tests.gate.given import answers as other


def check_of(verdict: Verdict, name: str) -> GateCheck:
    return next(check for check in verdict.checks if check.name == name)


def test_a_candidate_that_holds_everywhere_is_promoted():
    verdict = judge(evidence(), RULE, CLASSES)
    assert verdict.outcome == "promote"
    assert verdict.promotes
    assert verdict.reason.startswith("accuracy 0.875 is at least 0.7; accuracy: +0.0000 against champion v3")


def test_a_verdict_names_the_candidate_and_the_champion_it_was_compared_with():
    verdict = judge(evidence(), RULE, CLASSES)
    assert (verdict.candidate, verdict.champion) == ("sha256:new", CHAMPION)


def test_every_declared_threshold_is_a_check():
    assert [check.name for check in judge(evidence(), RULE, CLASSES).checks] == [
        "predictions",
        "minimum.accuracy",
        "minimum.macro_f1",
        "minimum.mcc",
        "maximum.cross_entropy",
        "maximum.calibration_error",
        "maximum.overfit",
        "parity",
        "champion",
        "champion.recall.cat",
        "champion.recall.dog",
    ]


def test_the_first_model_meets_nobody():
    verdict = judge(evidence(champion=None, comparison=None), RULE, CLASSES)
    assert verdict.outcome == "promote"
    assert verdict.reason == "accuracy 0.875 is at least 0.7; first model: there is no champion to compare with"


@pytest.mark.parametrize("why", ["reports/metrics.json: cannot be read: No such file or directory", "not evaluated"])
def test_metrics_that_could_not_be_had_refuse_every_threshold_and_say_why(why):
    verdict = judge(evidence(metrics=Unknown(why)), RULE, CLASSES)
    assert verdict.outcome == "refuse"
    thresholds = [check for check in verdict.checks if check.name.startswith(("minimum.", "maximum."))]
    assert len(thresholds) == 6
    assert {(check.outcome, check.figure) for check in thresholds} == {("fail", None)}
    assert all(check.sentence.endswith(f" is not known: {why}") for check in thresholds)


@given(
    st.sampled_from(["accuracy", "macro_f1", "mcc", "cross_entropy", "calibration_error", "overfit"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_a_metric_that_is_not_a_finite_number_refuses(name, figure):
    # No file can hold one (test_evidence): made without validation, it must not pass all the same.
    if name == "overfit":
        report = MetricsReport.model_construct(**{**dict(METRICS), "overfit": figure})
    else:
        part = type(TEST_METRICS).model_construct(**{**dict(TEST_METRICS), name: figure})
        report = MetricsReport.model_construct(**{**dict(METRICS), "test": part})
    verdict = judge(evidence(metrics=report), RULE, CLASSES)
    assert verdict.outcome == "refuse"
    assert any(check.endswith(f".{name}") for check in failed(verdict))


@pytest.mark.parametrize(
    ("changes", "check", "sentence"),
    [
        ({"macro_f1": 0.5999}, "minimum.macro_f1", "macro f1 0.5999 is below 0.6"),
        ({"mcc": -1.0}, "minimum.mcc", "mcc -1 is below 0.1"),
        ({"cross_entropy": 0.9001}, "maximum.cross_entropy", "cross entropy 0.9001 is above 0.9"),
        ({"calibration_error": 1.0}, "maximum.calibration_error", "calibration error 1 is above 0.5"),
        ({"overfit": 0.21}, "maximum.overfit", "overfit 0.21 is above 0.2"),
    ],
)
def test_a_figure_beyond_its_threshold_refuses_for_that_alone(changes, check, sentence):
    verdict = judge(evidence(metrics=metrics(**changes)), RULE, CLASSES)
    assert failed(verdict) == [check]
    assert verdict.reason == sentence


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_threshold_holds_on_the_exact_figure_and_shows_it_on_the_right_side(figure, bound):
    rule = RULE.model_copy(update={"minimum": Minimum(accuracy=0, macro_f1=bound)})
    check = check_of(judge(evidence(metrics=metrics(macro_f1=figure)), rule, CLASSES), "minimum.macro_f1")
    assert (check.outcome == "pass") == (figure >= bound) == (check.figure >= check.bound)


@given(st.floats(-1, 1), st.floats(0, 0.5))
def test_doing_better_against_the_champion_never_turns_a_promotion_into_a_refusal(lower, gain):
    def outcome(value):
        compared = Comparison(difference(value), [difference(value), difference(value)])
        return judge(evidence(comparison=compared), RULE, CLASSES).outcome

    assert outcome(lower) == "refuse" or outcome(lower + gain) == "promote"


@pytest.mark.parametrize(
    ("comparison", "check"),
    [
        (Comparison(difference(-0.0101), [difference(0), difference(0)]), "champion"),
        (Comparison(difference(0), [difference(0), difference(-0.0501)]), "champion.recall.dog"),
        (Comparison(difference(math.nan), [difference(0), difference(0)]), "champion"),
        (Comparison(difference(0), [difference(math.nan, rows=0), difference(0)]), "champion.recall.cat"),
        (Comparison(difference(0), [difference(0)]), "champion"),
        (Unknown("it was trained for other classes"), "champion"),
        (None, "champion"),
    ],
)
def test_a_champion_that_is_not_matched_or_not_met_refuses(comparison, check):
    verdict = judge(evidence(comparison=comparison), RULE, CLASSES)
    assert verdict.outcome == "refuse"
    assert failed(verdict) == [check]


def test_an_old_champion_that_cannot_answer_says_what_to_do():
    verdict = judge(evidence(comparison=Unknown("no architecture 'lenet'")), RULE, CLASSES)
    assert "champion v3 cannot be compared with: no architecture 'lenet'" in verdict.reason
    assert "ratchet registry promote pets VERSION --reason" in verdict.reason


def test_a_comparison_without_a_named_champion_refuses():
    assert judge(evidence(champion=None), RULE, CLASSES).outcome == "refuse"


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (Unknown("there are none"), "there are none"),
        (other(ids=[f"row-{n}" for n in (1, 0, *range(2, ROWS))]), "ids of the predictions"),
        (other(labels=1 - LABELS), "labels of the predictions"),
        (other(probabilities=probabilities()[:5]), "the test part needs"),
        (other(probabilities=np.full((ROWS, 2), np.nan, np.float32)), "not probabilities"),
        (other(probabilities=probabilities() * 3), "not probabilities"),
        (other(probabilities=probabilities()[:, ::-1]), "1 of 8 rows are right"),
    ],
)
def test_predictions_of_other_rows_or_another_model_refuse(answers, why):
    verdict = judge(evidence(predictions=answers), RULE, CLASSES)
    assert "predictions" in failed(verdict)
    assert why in verdict.checks[0].sentence


def test_no_test_rows_refuse():
    none = Answers([], LABELS[:0], probabilities()[:0])
    verdict = judge(evidence(test_ids=[], test_labels=LABELS[:0], predictions=none), RULE, CLASSES)
    assert {"predictions", "parity"} <= set(failed(verdict))


@pytest.mark.parametrize(
    "served",
    [
        Unknown("the exported model does not answer"),
        probabilities()[:3],
        probabilities()[:4, :1],
        np.full((4, 2), np.nan, np.float32),
        probabilities()[:4] + np.float32(2e-4),
    ],
)
def test_an_exported_model_that_answers_otherwise_refuses(served):
    assert failed(judge(evidence(served=served), RULE, CLASSES)) == ["parity"]


def test_without_predictions_there_is_nothing_to_hold_the_exported_model_against():
    verdict = judge(evidence(predictions=Unknown("there are none")), RULE, CLASSES)
    assert check_of(verdict, "parity").sentence == "there are none"
    assert "parity" in failed(verdict)


@pytest.mark.parametrize(("gap", "shown"), [(0, 1e-6), (3e-7, 1e-6), (2e-6, 1e-5), (1.1e-5, 1e-4)])
def test_parity_is_shown_to_the_next_decade(gap, shown):
    served = probabilities()[:4].astype(np.float64)
    served[0, 0] += gap
    check = check_of(judge(evidence(served=served), RULE, CLASSES), "parity")
    assert (check.outcome, check.figure) == ("pass", shown)


@pytest.mark.parametrize(
    ("figures", "more"),
    [
        ({}, ""),
        ({"mcc": 0.0}, " (and 1 more check failed)"),
        ({"mcc": 0.0, "overfit": 1.0}, " (and 2 more checks failed)"),
    ],
)
def test_the_reason_of_a_refusal_is_one_sentence_that_counts_the_others(figures, more):
    verdict = judge(evidence(metrics=metrics(macro_f1=0.5, **figures)), RULE, CLASSES)
    assert verdict.reason == "macro f1 0.5 is below 0.6" + more


def test_a_verdict_survives_its_file():
    verdict = judge(evidence(), RULE, CLASSES)
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False)), "verdict.json") == verdict


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "promoted"},
        {"checks": []},
        {"checks": None},
        {"champion": {"name": "pets"}},
        {"outcome": "refuse"},
    ],
)
def test_a_verdict_changed_by_hand_is_not_believed(change):
    value = judge(evidence(), RULE, CLASSES).to_json() | change
    with pytest.raises(DataError, match=r"verdict\.json"):
        Verdict.from_json(value, "verdict.json")


def test_a_failed_check_cannot_be_called_a_promotion():
    value = judge(evidence(served=Unknown("it does not answer")), RULE, CLASSES).to_json() | {"outcome": "promote"}
    with pytest.raises(DataError, match="contradicts its checks"):
        Verdict.from_json(value, "verdict.json")
