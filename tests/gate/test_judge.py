"""The gate: closed by default, whatever the evidence lacks."""

import copy
import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.gate.evidence import Answers, Comparison, Evidence, Unknown
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import ChampionRule, GateParams, Maximum, Minimum, ParityRule
from pipeline.records.identity import Identity
from pipeline.records.verdict import Verdict

CLASSES = ("cat", "dog")
ROWS = 8
LABELS = np.array([0, 1] * 4, np.int32)
RULE = GateParams(
    minimum=Minimum(accuracy=0.7, macro_f1=0.6, mcc=0.1),
    maximum=Maximum(cross_entropy=0.9, calibration_error=0.5, overfit=0.2),
    champion=ChampionRule(margin=0.01, class_margin=0.05),
    parity=ParityRule(rows=4, tolerance=1e-4),
)
CHAMPION = Identity("pets", 3, "sha256:old")
METRICS = {
    "test": {"accuracy": 0.875, "macro_f1": 0.8, "mcc": 0.7, "cross_entropy": 0.4, "calibration_error": 0.1},
    "overfit": 0.05,
}


def probabilities():
    sure = np.full((ROWS, 2), 0.1, np.float32)
    sure[np.arange(ROWS), LABELS] = 0.9
    sure[0] = sure[0, ::-1]  # one mistake: 7 of 8
    return sure


def difference(lower, rows=ROWS, found=0.0):
    return SimpleNamespace(rows=rows, difference=max(found, lower), lower=lower)


def evidence(**changes):
    ids = [f"row-{n}" for n in range(ROWS)]
    complete = Evidence(
        candidate="sha256:new",
        metrics=copy.deepcopy(METRICS),
        test_ids=ids,
        test_labels=LABELS,
        predictions=Answers(ids, LABELS, probabilities()),
        served=probabilities()[:4],
        champion=CHAMPION,
        comparison=Comparison(difference(-0.005), [difference(-0.01), difference(-0.04)]),
    )
    return dataclasses.replace(complete, **changes)


def failed(verdict):
    return [check.name for check in verdict.checks if check.outcome == "fail"]


def test_a_candidate_that_holds_everywhere_is_promoted():
    verdict = judge(evidence(), RULE, CLASSES)
    assert verdict.outcome == "promote"
    assert verdict.lets_through
    assert verdict.reason.startswith("accuracy 0.875 is at least 0.7; accuracy: +0.0000 against champion v3")


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
    assert verdict.reason == "accuracy 0.875 is at least 0.7; first model: there is no champion to meet"


@given(
    st.sampled_from(["accuracy", "macro_f1", "mcc", "cross_entropy", "calibration_error", "overfit"]),
    st.sampled_from([None, math.nan, math.inf, -math.inf, True, "0.99", [], "absent", 10**400]),
)
def test_a_metric_that_is_not_a_finite_number_refuses(name, value):
    metrics = copy.deepcopy(METRICS)
    group = metrics if name == "overfit" else metrics["test"]
    group[name] = value
    if value == "absent":
        del group[name]
    verdict = judge(evidence(metrics=metrics), RULE, CLASSES)
    assert verdict.outcome == "refuse"
    assert any(name in check for check in failed(verdict))


@pytest.mark.parametrize("metrics", [None, [], {}, {"test": None}, {"test": [1]}, "x", 3])
def test_metrics_of_any_other_shape_refuse(metrics):
    assert judge(evidence(metrics=metrics), RULE, CLASSES).outcome == "refuse"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_threshold_holds_on_the_exact_figure_and_shows_it_on_the_right_side(figure, bound):
    rule = RULE.model_copy(update={"minimum": Minimum(accuracy=0, macro_f1=bound)})
    metrics = copy.deepcopy(METRICS)
    metrics["test"]["macro_f1"] = figure
    check = next(c for c in judge(evidence(metrics=metrics), rule, CLASSES).checks if c.name == "minimum.macro_f1")
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
    assert "champion v3 cannot be met: no architecture 'lenet'" in verdict.reason
    assert "ratchet registry promote pets VERSION --reason" in verdict.reason


def test_a_comparison_without_a_named_champion_refuses():
    assert judge(evidence(champion=None), RULE, CLASSES).outcome == "refuse"


def other(field, value):
    answers = evidence().predictions
    return dataclasses.replace(answers, **{field: value})


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (Unknown("there are none"), "there are none"),
        (other("ids", [f"row-{n}" for n in (1, 0, *range(2, ROWS))]), "ids of the predictions"),
        (other("labels", 1 - LABELS), "labels of the predictions"),
        (other("probabilities", probabilities()[:5]), "the test part asks for"),
        (other("probabilities", np.full((ROWS, 2), np.nan, np.float32)), "not probabilities"),
        (other("probabilities", probabilities() * 3), "not probabilities"),
        (other("probabilities", probabilities()[:, ::-1]), "1 of 8 rows are right"),
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


@pytest.mark.parametrize(("gap", "shown"), [(0, 1e-6), (3e-7, 1e-6), (2e-6, 1e-5), (1.1e-5, 1e-4)])
def test_parity_is_shown_to_the_next_decade(gap, shown):
    served = probabilities()[:4].astype(np.float64)
    served[0, 0] += gap
    check = next(c for c in judge(evidence(served=served), RULE, CLASSES).checks if c.name == "parity")
    assert (check.outcome, check.figure) == ("pass", shown)


def test_the_reason_of_a_refusal_is_one_sentence_that_counts_the_others():
    metrics = copy.deepcopy(METRICS)
    metrics["test"] |= {"macro_f1": 0.5, "mcc": 0.0}
    verdict = judge(evidence(metrics=metrics), RULE, CLASSES)
    assert verdict.reason == "macro f1 0.5 is below 0.6 (and 1 more check failed)"


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
