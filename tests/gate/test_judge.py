"""The gate: closed by default, whatever the evidence lacks."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.evaluation.tasks.classification import Settings
from pipeline.evaluation.tasks.classification import Task as Classification
from pipeline.gate.evidence import Answers, Other, Unknown
from pipeline.gate.intervals import of_share
from pipeline.gate.judge import _check_parity, judge
from pipeline.recipe.recipe import ParityRule
from pipeline.recipe.task import NOTHING_DECLARED, RowValues
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import Verdict
from tests.gate.given import (
    ANCHOR,
    BOUNDS,
    CHAMPION,
    CLASSES,
    IDS,
    LABELS,
    METRICS,
    PRIMARY,
    ROWS,
    TASK,
    answers,
    check_of,
    evidence,
    failed,
    judged,
    other,
    probabilities,
    rule,
    scores,
)


def test_a_candidate_that_holds_everywhere_is_promoted() -> None:
    verdict = judged()
    assert verdict.promotes
    assert verdict.reason.startswith(
        "accuracy 0.95 is at least 0.7, 0.94123 at worst at 95 % confidence (Clopper–Pearson); accuracy: 60 rows won"
    )


def test_a_verdict_names_the_candidate_and_whom_it_was_compared_with() -> None:
    verdict = judged()
    assert (verdict.candidate, verdict.champion, verdict.anchor) == ("sha256:new", CHAMPION, ANCHOR)


def test_every_declared_threshold_is_a_check() -> None:
    assert [check.name for check in judged(rule(bounds=BOUNDS)).checks] == [
        "predictions",
        "minimum.accuracy",
        "minimum.macro_f1",
        "minimum.mcc",
        "maximum.cross_entropy",
        "maximum.calibration_error",
        "maximum.overfit",
        "parity",
        "step",
        "total",
        "slice.class.cat",
        "slice.class.dog",
    ]


def test_the_first_model_is_judged_by_its_bounds_alone_and_is_the_first_anchor() -> None:
    verdict = judged(champion=None, anchor=None)
    assert verdict.promotes
    assert verdict.moves_anchor
    assert verdict.reason.endswith("; first model: there never was a champion")
    assert (verdict.against_champion, verdict.against_anchor, verdict.shows) == (None, None, "")


def test_a_first_model_on_few_rows_is_refused_for_the_confidence_of_its_floor() -> None:
    verdict = judged(rule(bounds={"minimum": {"accuracy": 0.945}}), champion=None, anchor=None)
    assert failed(verdict) == ["minimum.accuracy"]
    assert verdict.reason == "accuracy 0.95 may be 0.94123 at 95 % confidence (Clopper–Pearson), below 0.945"


@pytest.mark.parametrize(
    ("bounds", "check", "sentence"),
    [
        ({"minimum": {"accuracy": 0.7, "macro_f1": 0.951}}, "minimum.macro_f1", "macro F1 0.95 is below 0.951"),
        ({"minimum": {"accuracy": 0.7, "mcc": 0.89}}, "minimum.mcc", "MCC 0.9 may be 0.88"),
        ({"maximum": {"cross_entropy": 0.22}}, "maximum.cross_entropy", "cross-entropy 0.215222 nats a row may be 0.2"),
        ({"maximum": {"calibration_error": 0.04}}, "maximum.calibration_error", "calibration error 0.05 is above 0.04"),
        ({"maximum": {"overfit": 0.045}}, "maximum.overfit", "overfit 0.04 may be 0.04877 at 95 % confidence"),
    ],
)
def test_a_figure_that_may_be_beyond_its_bound_refuses_for_that_alone(bounds: Any, check: str, sentence: str) -> None:
    verdict = judged(rule(bounds={"minimum": {"accuracy": 0.7}, **bounds}))
    assert failed(verdict) == [check]
    assert verdict.reason.startswith(sentence)


@pytest.mark.long
@given(st.floats(0.001, 1))
@settings(max_examples=20, deadline=None)
def test_a_bound_holds_on_the_exact_limit_and_shows_it_on_the_right_side(bound: float) -> None:
    check = check_of(judged(rule(bounds={"minimum": {"accuracy": bound}})), "minimum.accuracy")
    assert check.figure is not None
    assert (check.outcome == "pass") == (check.figure >= bound)


def test_a_bound_that_is_switched_off_stands_in_the_verdict_with_its_reason() -> None:
    off = {"minimum": {"accuracy": {"none": "no labels yet"}}, "maximum": {"overfit": {"none": "few rows"}}}
    verdict = judged(rule(bounds=off))
    assert [(check.name, check.sentence) for check in verdict.checks if check.outcome == "off"] == [
        ("minimum.accuracy", "no labels yet"),
        ("maximum.overfit", "few rows"),
    ]
    assert verdict.promotes
    assert verdict.reason.startswith("no labels yet (not checked); accuracy: 60 rows won")


def test_a_slice_is_bounded_by_figures_of_its_own() -> None:
    slices = {"class": {"cat": {"minimum": {"recall": 0.8}}, "dog": {"minimum": {"f1": 0.96}}}}
    verdict = judged(rule(bounds={"minimum": {"accuracy": 0.7}, "slices": slices}))
    assert check_of(verdict, "slices.class.cat.minimum.recall").sentence.startswith(
        "recall of cat 0.95 is at least 0.8"
    )
    assert failed(verdict) == ["slices.class.dog.minimum.f1"]
    assert verdict.reason == "F1 of dog 0.95 is below 0.96"


def test_values_by_row_are_found_of_bounded_metrics_alone() -> None:
    asked: list[str] = []

    class Asked(RowValues):
        def __init__(self, found: RowValues) -> None:
            self.found = found

        def of(self, metric: str) -> Any:
            asked.append(metric)
            return self.found.of(metric)

    class Watched(type(TASK)):  # type: ignore[misc]
        __module__ = type(TASK).__module__  # by which a task is named

        def row_values(self, labels: Any, answers: Any, declared: Any = NOTHING_DECLARED) -> RowValues:
            return Asked(super().row_values(labels, answers, declared))

    gate = rule(bounds={"minimum": {"accuracy": 0.7, "auc": 0.5}})
    verdict = judge(evidence(), gate, Watched(TASK.settings, CLASSES), 1, {})
    assert sorted(asked) == ["accuracy", "auc"]
    assert verdict == judged(gate)


def test_without_a_bound_on_the_primary_metric_nothing_is_let_through() -> None:
    verdict = judged(rule(bounds={"minimum": {"macro_f1": 0.1}}))
    assert failed(verdict) == ["minimum.accuracy"]
    assert verdict.reason == "accuracy is not bounded"


def test_a_bound_on_a_metric_that_nobody_measures_refuses() -> None:
    verdict = judged(rule(bounds={"minimum": {"accuracy": 0.1, "luck": 0.1}}))
    assert verdict.reason == "luck is not known: nobody measures it"


def forged(where: str, name: str, value: float) -> MetricsReport:
    """The metrics with one figure replaced."""
    written = METRICS.to_json()
    group = written
    for key in where.split("."):
        group = group[key] if key else group
    group[name] = value
    return MetricsReport.from_json(written, "metrics.json")


@pytest.mark.parametrize("name", [name for name in METRICS.test if name != "rows"])
@pytest.mark.parametrize("part", ["test", "train"])
def test_a_forged_figure_refuses(part: str, name: str) -> None:
    verdict = judged(metrics=forged(part, name, 0.123))
    assert failed(verdict) == ["predictions"]
    assert "is not that of the predictions" in verdict.reason


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("", "overfit", 0.0),
        ("slices.class.cat", "f1", 1.0),
        ("slices.class.dog", "rows", 3),
        ("test", "rows", ROWS + 1),
        ("", "task", "ranking"),
        ("", "slices", {}),
    ],
)
def test_metrics_of_other_predictions_refuse(where: str, name: str, value: Any) -> None:
    assert failed(judged(metrics=forged(where, name, value))) == ["predictions"]


def test_metrics_that_could_not_be_had_refuse_and_say_why() -> None:
    verdict = judged(metrics=Unknown("metrics.json: cannot be read"))
    assert failed(verdict) == ["predictions"]
    assert verdict.reason == "the metrics are not known: metrics.json: cannot be read"


@pytest.mark.parametrize("role", ["champion", "anchor"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Other(CHAMPION, Unknown("it was trained for 3 other classes")), "cannot be compared with: it was trained"),
        (Other(None, Unknown("the alias was removed")), "cannot be compared with: the alias was removed"),
        (Other(None, scores(range(3))), "nobody knows which model it was"),
        (Other(CHAMPION, scores(range(3))[:5]), "its scores are not one finite number for each row"),
        (Other(CHAMPION, np.full(ROWS, math.nan)), "its scores are not one finite number for each row"),
        (None, "is not known, and a candidate is the first only if there never was a champion"),
    ],
)
def test_a_model_that_cannot_be_met_refuses_and_says_why(role: str, given: Other | None, said: str) -> None:
    verdict = judged(**{role: given})
    assert failed(verdict) == [role]
    assert said in verdict.reason
    assert (verdict.against_champion, verdict.against_anchor, verdict.moves_anchor) == (None, None, False)


def test_one_that_cannot_answer_says_what_to_do() -> None:
    gone = Other(CHAMPION, Unknown("no architecture 'lenet'"))
    assert judged(champion=gone).reason.endswith(
        "champion v3 cannot be compared with: no architecture 'lenet'; to replace it anyway, promote the version that "
        'this run registers: `ratchet registry promote VERSION --reason "…"`'
    )
    assert judged(anchor=gone).reason.endswith(
        "anchor v3 cannot be compared with: no architecture 'lenet'; to be held to the champion instead: "
        '`ratchet registry promote 3 --anchor --reason "…"`'
    )


def test_a_way_out_that_the_reason_has_is_not_said_again() -> None:
    gone = Other(CHAMPION, Unknown('it is gone; `ratchet registry promote 2 --reason "…"` names the champion'))
    assert judged(champion=gone).reason.count("ratchet registry promote") == 1


def test_the_champion_itself_has_nothing_to_decide() -> None:
    itself = other(CHAMPION.changed(digest="sha256:new"), won=0, lost=0)
    assert judged(champion=itself).reason == "the candidate is champion v3 itself: there is nothing to decide"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (Unknown("there are none"), "there are none"),
        (answers(ids=[*IDS[1:], IDS[0]]), "ids of the predictions"),
        (answers(labels=1 - LABELS), "labels of the predictions"),
        (answers(answers=probabilities()[:5]), "there are 5 predictions, the test part has 2000 rows"),
        (answers(answers=np.full((ROWS, 2), np.nan, np.float32)), "no probability distribution"),
        (answers(answers=probabilities() * 3), "no probability distribution"),
        (answers(answers=probabilities()[:, ::-1]), "accuracy (test) is not that of the predictions: 0.05"),
    ],
)
def test_predictions_of_other_rows_or_another_model_refuse(changed: Any, why: str) -> None:
    verdict = judged(predictions=changed)
    assert "predictions" in failed(verdict)
    assert why in verdict.checks[0].sentence


def test_training_answers_that_cannot_be_measured_refuse() -> None:
    assert judged(train=Unknown("no such part")).checks[0].sentence == "no such part"
    broken = answers(answers=probabilities() * 3)
    assert judged(train=broken).checks[0].sentence.startswith("training part: the model's answer for row 0")


def test_no_test_rows_refuse() -> None:
    none = Answers([], LABELS[:0], probabilities()[:0])
    verdict = judged(test_ids=[], test_labels=LABELS[:0], predictions=none)
    assert {"predictions", "minimum.accuracy", "parity", "champion"} <= set(failed(verdict))


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
def test_an_exported_model_that_answers_otherwise_refuses(served: Any) -> None:
    assert failed(judged(served=served)) == ["parity"]


def test_without_predictions_there_is_nothing_to_hold_the_exported_model_against() -> None:
    verdict = judged(predictions=Unknown("there are none"))
    assert check_of(verdict, "parity").sentence == "there are none"
    assert "parity" in failed(verdict)


@pytest.mark.parametrize(("gap", "shown"), [(0, 1e-6), (3e-7, 1e-6), (2e-6, 1e-5), (1.1e-5, 1e-4)])
def test_parity_is_shown_to_the_next_decade(gap: float, shown: float) -> None:
    served = probabilities()[:4].astype(np.float64)
    served[0, 0] += gap
    check = check_of(judged(served=served), "parity")
    assert (check.outcome, check.figure) == ("pass", shown)


@pytest.mark.parametrize(
    ("minimum", "more"),
    [
        ({}, ""),
        ({"auc": 0.999}, " (and 1 more check failed)"),
        ({"auc": 0.999, "mcc": 0.99}, " (and 2 more checks failed)"),
    ],
)
def test_the_reason_of_a_refusal_is_one_sentence_that_counts_the_others(minimum: Any, more: str) -> None:
    verdict = judged(rule(bounds={"minimum": {"accuracy": 0.7, "macro_f1": 0.97, **minimum}}))
    assert verdict.reason == "macro F1 0.95 is below 0.97" + more


def test_a_verdict_survives_its_file() -> None:
    verdict = judged()
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
def test_a_verdict_changed_by_hand_is_not_believed(change: Any) -> None:
    value = judged().to_json() | change
    with pytest.raises(DataError, match=r"verdict\.json"):
        Verdict.from_json(value, "verdict.json")


def test_a_failed_check_cannot_be_called_a_promotion() -> None:
    value = judged(served=Unknown("it does not answer")).to_json() | {"outcome": "promote"}
    with pytest.raises(DataError, match="contradicts its checks"):
        Verdict.from_json(value, "verdict.json")


def test_a_floor_holds_where_its_limit_is_exactly_the_bound_and_not_for_the_next_number() -> None:
    low = of_share(1900, ROWS, 0.95).low
    for bound, holds in ((low, True), (math.nextafter(low, 1), False)):
        check = check_of(judged(rule(bounds={"minimum": {"accuracy": bound}})), "minimum.accuracy")
        assert check.has_passed is holds, bound


def test_a_ceiling_holds_where_its_limit_is_exactly_the_bound_and_not_for_the_next_number() -> None:
    high = 0.99 - of_share(1900, ROWS, 0.95).low
    for bound, holds in ((high, True), (math.nextafter(high, 0), False)):
        bounds = {"minimum": {"accuracy": 0.7}, "maximum": {"overfit": bound}}
        assert check_of(judged(rule(bounds=bounds)), "maximum.overfit").has_passed is holds, bound


def test_answers_of_the_exported_model_may_differ_by_the_tolerance_and_no_more() -> None:
    gap = 2.0**-12
    served = probabilities()[:4] + np.float32(gap)
    for tolerance, holds in ((gap, True), (math.nextafter(gap, 0), False)):
        gate = rule().model_copy(update={"parity": ParityRule(rows=4, tolerance=tolerance)})
        check = check_of(judged(gate, served=served), "parity")
        assert check.has_passed is holds, tolerance


def test_how_far_the_exported_model_is_off_is_shown_as_a_power_of_ten_that_is_no_less() -> None:
    def shown(gap: float) -> float | int | None:
        return check_of(judged(served=probabilities()[:4] + np.float32(gap)), "parity").figure

    assert [shown(gap) for gap in (0.0, 2.0**-20, 2.0**-16, 2.0**-14, 2.0**-10)] == [1e-6, 1e-6, 1e-4, 1e-4, 1e-3]
    assert shown(2.0**-17) == 1e-5


@pytest.mark.parametrize(("parameters", "holds"), [(1234, True), (1235, False)])
def test_no_more_parameters_pass_than_the_recipe_allows(parameters: int, holds: bool) -> None:
    check = check_of(
        judged(rule(bounds={**PRIMARY, "parameters": {"maximum": 1234}}), parameters=parameters), "parameters"
    )
    assert (check.figure, check.bound, check.has_passed) == (parameters, 1234, holds)
    assert check.sentence == f"1 {parameters - 1000} parameters are {'at most' if holds else 'above'} 1 234"


def test_without_a_bound_on_parameters_nobody_asks_how_many_there_are() -> None:
    assert "parameters" not in [check.name for check in judged(parameters=10**12).checks]


def test_the_checks_say_how_many_rows_and_failures_there_are() -> None:
    verdict = judged()
    predictions, parity = check_of(verdict, "predictions"), check_of(verdict, "parity")
    assert (predictions.figure, predictions.bound) == (ROWS, ROWS)
    assert predictions.sentence == "2 000 predictions, one for each test row, and the metrics are theirs"
    assert parity.bound == 1e-4
    assert parity.sentence == ("the exported model, loaded in a fresh process, answers 4 rows as the trained one did")
    off = judged(served=probabilities()[:4] + np.float32(2e-4))
    assert check_of(off, "parity").sentence == (
        "the exported model, loaded in a fresh process, answers 4 rows differently from the trained one, "
        "by more than 0.0001"
    )
    short = judged(served=probabilities()[:3])
    assert check_of(short, "parity").sentence == (
        "the exported model answers [3, 2] for 4 rows, training answered [4, 2]"
    )
    assert check_of(judged(predictions=Unknown("none")), "predictions").bound == ROWS


def test_no_check_without_a_figure_shows_one() -> None:
    verdict = judged(champion=None, anchor=other(ANCHOR, 80, 20), served=Unknown("no"), metrics=Unknown("none"))
    for name in ("champion", "parity", "predictions"):
        assert check_of(verdict, name).figure is None
    assert check_of(verdict, "champion").bound is None


def test_other_test_rows_have_another_digest() -> None:
    digest = judged().test_digest
    renamed = [*IDS[:-1], "other"]
    assert judged(test_ids=renamed, predictions=answers(ids=renamed)).test_digest != digest
    assert judged(test_labels=1 - LABELS, predictions=answers(labels=1 - LABELS)).test_digest != digest


def test_another_tolerance_or_confidence_has_another_digest_of_the_rule() -> None:
    digest = judged().rule_digest
    for changed in ({"parity": {"rows": 4, "tolerance": 2e-4}}, {"confidence": 0.9}, {"minimum": {"accuracy": 0.71}}):
        assert judged(rule().model_validate(rule().model_dump() | changed)).rule_digest != digest, changed


class WithoutScores(Classification):
    """Classification that cannot score one of the candidate's rows."""

    @property
    def name(self) -> str:
        return "classification"

    def score(self, labels: Any, given: Any) -> Any:
        found = super().score(labels, given)
        found[7] = math.nan
        return found


def test_a_candidate_whose_scores_are_not_numbers_is_refused_for_that() -> None:
    verdict = judge(evidence(), rule(), WithoutScores(Settings(), CLASSES), 1, {})
    assert failed(verdict) == ["champion"]
    assert verdict.reason == "the candidate cannot be compared: some of its scores are not finite"


def test_where_neither_can_be_met_both_say_so() -> None:
    gone = Other(CHAMPION, Unknown("it is gone"))
    assert failed(judged(champion=gone, anchor=gone)) == ["champion", "anchor"]
    verdict = judged(champion=gone, predictions=Unknown("there are none"))
    assert failed(verdict) == ["predictions", "minimum.accuracy", "parity", "champion", "champion"]
    assert verdict.checks[-1].sentence == "the candidate cannot be compared: its predictions cannot be measured"


def test_without_a_champion_the_way_out_of_an_anchor_names_no_version() -> None:
    verdict = judged(champion=None, anchor=Other(ANCHOR, Unknown("it is gone")))
    assert check_of(verdict, "anchor").sentence == (
        "anchor v2 cannot be compared with: it is gone; to be held to the champion instead: "
        '`ratchet registry promote VERSION --anchor --reason "…"`'
    )
    unnamed = judged(anchor=Other(None, Unknown("it is gone")))
    assert check_of(unnamed, "anchor").sentence.startswith("the anchor cannot be compared with: it is gone")


def test_only_the_champion_is_the_candidate_itself() -> None:
    same = other(ANCHOR.changed(digest="sha256:new"), won=80, lost=20)
    assert failed(judged(anchor=same)) == []


def test_no_more_rows_are_asked_of_the_exported_model_than_there_are() -> None:
    few = slice(0, 3)
    given = Answers(IDS[few], LABELS[few], probabilities()[few])
    check = _check_parity(evidence(test_ids=IDS[few], predictions=given, served=probabilities()[few]), rule(), TASK)
    assert check.sentence == "the exported model, loaded in a fresh process, answers 3 rows as the trained one did"


def test_the_worst_of_all_answers_counts_in_either_direction() -> None:
    served = probabilities()[:4]
    served[3, 1] -= np.float32(2e-4)
    assert failed(judged(served=served)) == ["parity"]


def test_how_far_off_is_shown_is_no_more_than_the_bound_if_it_holds() -> None:
    gate = rule().model_copy(update={"parity": ParityRule(rows=4, tolerance=3e-4)})
    check = check_of(judged(gate, served=probabilities()[:4] + np.float32(2e-4)), "parity")
    assert (check.outcome, check.figure) == ("pass", 3e-4)
    beyond = check_of(judged(served=probabilities()[:4] + np.float32(2e-4)), "parity")
    assert (beyond.outcome, beyond.figure) == ("fail", 1e-3)
