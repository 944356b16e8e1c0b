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
from pipeline.recipe.recipe import Bounds
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import GateCheck, Verdict
from tests.gate.given import (
    CHAMPION,
    FIGURES,
    LABELS,
    METRICS,
    ROWS,
    RULE,
    TASK,
    compared,
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
    verdict = judge(evidence(), RULE, TASK)
    assert verdict.outcome == "promote"
    assert verdict.promotes
    assert verdict.reason.startswith("accuracy 0.875 is at least 0.7; accuracy: +0.0000 against champion v3")


def test_a_verdict_names_the_candidate_and_the_champion_it_was_compared_with():
    verdict = judge(evidence(), RULE, TASK)
    assert (verdict.candidate, verdict.champion) == ("sha256:new", CHAMPION)


def test_every_declared_threshold_is_a_check():
    assert [check.name for check in judge(evidence(), RULE, TASK).checks] == [
        "predictions",
        "minimum.accuracy",
        "minimum.macro_f1",
        "minimum.mcc",
        "maximum.cross_entropy",
        "maximum.calibration_error",
        "maximum.overfit",
        "parity",
        "champion",
        "champion.class.cat",
        "champion.class.dog",
    ]


def test_the_first_model_meets_nobody():
    verdict = judge(evidence(champion=None, comparison=None), RULE, TASK)
    assert verdict.outcome == "promote"
    assert verdict.reason == "accuracy 0.875 is at least 0.7; first model: there is no champion to compare with"


@pytest.mark.parametrize("why", ["reports/metrics.json: cannot be read: No such file or directory", "not evaluated"])
def test_metrics_that_could_not_be_had_refuse_every_threshold_and_say_why(why):
    verdict = judge(evidence(metrics=Unknown(why)), RULE, TASK)
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
        report = MetricsReport.model_construct(**{**dict(METRICS), "test": {**FIGURES, name: figure}})
    verdict = judge(evidence(metrics=report), RULE, TASK)
    assert verdict.outcome == "refuse"
    assert any(check.endswith(f".{name}") for check in failed(verdict))


@pytest.mark.parametrize(
    ("changes", "check", "sentence"),
    [
        ({"macro_f1": 0.5999}, "minimum.macro_f1", "macro F1 0.5999 is below 0.6"),
        ({"mcc": -1.0}, "minimum.mcc", "MCC -1 is below 0.1"),
        ({"cross_entropy": 0.9001}, "maximum.cross_entropy", "cross-entropy 0.9001 is above 0.9"),
        ({"calibration_error": 1.0}, "maximum.calibration_error", "calibration error 1 is above 0.5"),
        ({"overfit": 0.21}, "maximum.overfit", "overfit 0.21 is above 0.2"),
    ],
)
def test_a_figure_beyond_its_threshold_refuses_for_that_alone(changes, check, sentence):
    verdict = judge(evidence(metrics=metrics(**changes)), RULE, TASK)
    assert failed(verdict) == [check]
    assert verdict.reason == sentence


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_threshold_holds_on_the_exact_figure_and_shows_it_on_the_right_side(figure, bound):
    rule = RULE.model_copy(update={"minimum": {"accuracy": 0, "macro_f1": bound}})
    check = check_of(judge(evidence(metrics=metrics(macro_f1=figure)), rule, TASK), "minimum.macro_f1")
    assert (check.outcome == "pass") == (figure >= bound) == (check.figure >= check.bound)


def test_a_slice_is_bounded_by_figures_of_its_own():
    rule = RULE.model_copy(
        update={"slices": {"class": {"cat": Bounds(minimum={"recall": 0.8}), "dog": Bounds(minimum={"f1": 0.85})}}}
    )
    verdict = judge(evidence(), rule, TASK)
    assert check_of(verdict, "slices.class.cat.minimum.recall").sentence == "recall of cat 0.875 is at least 0.8"
    assert failed(verdict) == ["slices.class.dog.minimum.f1"]
    assert verdict.reason == "F1 of dog 0.8 is below 0.85"


@pytest.mark.parametrize(
    ("slices", "name"),
    [({}, "recall"), ({"class": {}}, "recall"), ({"class": {"dog": {"rows": 4}}}, "recall")],
)
def test_a_slice_that_was_not_measured_refuses(slices, name):
    rule = RULE.model_copy(update={"slices": {"class": {"dog": Bounds(minimum={name: 0.1})}}})
    verdict = judge(evidence(metrics=METRICS.changed(slices=slices)), rule, TASK)
    assert failed(verdict) == [f"slices.class.dog.minimum.{name}"]
    assert verdict.reason == "recall of dog is not in the metrics"


def test_without_a_bound_on_the_primary_metric_nothing_is_let_through():
    verdict = judge(evidence(), RULE.model_copy(update={"minimum": {"macro_f1": 0.1}}), TASK)
    assert failed(verdict) == ["minimum.accuracy"]
    assert verdict.reason == "accuracy is not bounded"


def test_a_bound_on_a_metric_that_nobody_measures_refuses():
    verdict = judge(evidence(), RULE.model_copy(update={"minimum": {"accuracy": 0.1, "luck": 0.1}}), TASK)
    assert verdict.reason == "luck is not in the metrics"


@given(st.floats(-1, 1), st.floats(0, 0.5))
def test_doing_better_against_the_champion_never_turns_a_promotion_into_a_refusal(lower, gain):
    def outcome(value):
        found = compared(difference(value), difference(value), difference(value))
        return judge(evidence(comparison=found), RULE, TASK).outcome

    assert outcome(lower) == "refuse" or outcome(lower + gain) == "promote"


@pytest.mark.parametrize(
    ("comparison", "check"),
    [
        (compared(difference(-0.0101), difference(0), difference(0)), "champion"),
        (compared(difference(0), difference(0), difference(-0.0501)), "champion.class.dog"),
        (compared(difference(math.nan), difference(0), difference(0)), "champion"),
        (compared(difference(0), difference(math.nan, rows=0), difference(0)), "champion.class.cat"),
        (Comparison(difference(0), {}), "champion"),
        (Comparison(difference(0), {"class": {"cat": difference(0)}}), "champion"),
        (Comparison(difference(0), {"colour": {"cat": difference(0), "dog": difference(0)}}), "champion"),
        (Unknown("it was trained for other classes"), "champion"),
        (None, "champion"),
    ],
)
def test_a_champion_that_is_not_matched_or_not_met_refuses(comparison, check):
    verdict = judge(evidence(comparison=comparison), RULE, TASK)
    assert verdict.outcome == "refuse"
    assert failed(verdict) == [check]


def test_an_old_champion_that_cannot_answer_says_what_to_do():
    verdict = judge(evidence(comparison=Unknown("no architecture 'lenet'")), RULE, TASK)
    assert "champion v3 cannot be compared with: no architecture 'lenet'" in verdict.reason
    assert "ratchet registry promote pets VERSION --reason" in verdict.reason


def test_a_comparison_without_a_named_champion_refuses():
    assert judge(evidence(champion=None), RULE, TASK).outcome == "refuse"


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (Unknown("there are none"), "there are none"),
        (other(ids=[f"row-{n}" for n in (1, 0, *range(2, ROWS))]), "ids of the predictions"),
        (other(labels=1 - LABELS), "labels of the predictions"),
        (other(answers=probabilities()[:5]), "there are 5 predictions, the test part has 8 rows"),
        (other(answers=np.full((ROWS, 2), np.nan, np.float32)), "no probability distribution"),
        (other(answers=probabilities() * 3), "no probability distribution"),
        (other(answers=probabilities()[:, ::-1]), "accuracy is not that of the predictions: 0.125"),
    ],
)
def test_predictions_of_other_rows_or_another_model_refuse(answers, why):
    verdict = judge(evidence(predictions=answers), RULE, TASK)
    assert "predictions" in failed(verdict)
    assert why in verdict.checks[0].sentence


def test_no_test_rows_refuse():
    none = Answers([], LABELS[:0], probabilities()[:0])
    verdict = judge(evidence(test_ids=[], test_labels=LABELS[:0], predictions=none), RULE, TASK)
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
    assert failed(judge(evidence(served=served), RULE, TASK)) == ["parity"]


def test_without_predictions_there_is_nothing_to_hold_the_exported_model_against():
    verdict = judge(evidence(predictions=Unknown("there are none")), RULE, TASK)
    assert check_of(verdict, "parity").sentence == "there are none"
    assert "parity" in failed(verdict)


@pytest.mark.parametrize(("gap", "shown"), [(0, 1e-6), (3e-7, 1e-6), (2e-6, 1e-5), (1.1e-5, 1e-4)])
def test_parity_is_shown_to_the_next_decade(gap, shown):
    served = probabilities()[:4].astype(np.float64)
    served[0, 0] += gap
    check = check_of(judge(evidence(served=served), RULE, TASK), "parity")
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
    verdict = judge(evidence(metrics=metrics(macro_f1=0.5, **figures)), RULE, TASK)
    assert verdict.reason == "macro F1 0.5 is below 0.6" + more


def test_a_verdict_survives_its_file():
    verdict = judge(evidence(), RULE, TASK)
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
    value = judge(evidence(), RULE, TASK).to_json() | change
    with pytest.raises(DataError, match=r"verdict\.json"):
        Verdict.from_json(value, "verdict.json")


def test_a_failed_check_cannot_be_called_a_promotion():
    value = judge(evidence(served=Unknown("it does not answer")), RULE, TASK).to_json() | {"outcome": "promote"}
    with pytest.raises(DataError, match="contradicts its checks"):
        Verdict.from_json(value, "verdict.json")
