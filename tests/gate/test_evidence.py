"""A figure that cannot be had is a fact for the gate: what is not the file it should be is Unknown, with the reason."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, StorageError, TryAgain, UsageError
from pipeline.gate.evidence import Answers, Unknown, answers_problem, known, predictions_problem
from pipeline.records.metrics import MetricsReport
from pipeline.storage.record_files import read_record, write_record
from tests.gate.given import IDS, LABELS, METRICS, ROWS, TASK, answers, evidence, failed, judged, probabilities


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The metrics of a candidate that holds everywhere."""
    write_record(tmp_path / "metrics.json", METRICS)
    return tmp_path / "metrics.json"


def read(path: Path) -> MetricsReport | Unknown:
    return known(lambda: read_record(path, MetricsReport), lambda error: str(error).replace(f"{path.parent}/", ""))


def refused(path: Path) -> str:
    """Return why the metrics are not known, once the gate has refused for it."""
    found = read(path)
    assert isinstance(found, Unknown)
    verdict = judged(metrics=found)
    assert failed(verdict) == ["predictions"]
    assert any(check.sentence.endswith(found.why) for check in verdict.checks)
    return found.why


def test_whole_metrics_are_known_and_let_through(path: Path) -> None:
    assert read(path) == METRICS
    assert judged(metrics=read(path)).promotes


def test_missing_metrics_refuse(path: Path) -> None:
    path.unlink()
    assert refused(path) == "metrics.json: cannot be read: No such file or directory"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"accuracy: 1"])
def test_metrics_that_are_not_json_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert refused(path).startswith("metrics.json: not valid JSON")


@pytest.mark.parametrize("value", [None, [], "x", 3, True])
def test_metrics_that_are_no_object_refuse(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
    assert "must be a JSON object" in refused(path)


@pytest.mark.parametrize("value", [{}, {"test": None}, {"test": [1]}])
def test_metrics_of_any_other_shape_refuse(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
    assert refused(path).startswith("metrics.json: test: ")


FIGURES = ["accuracy", "macro_f1", "mcc", "cross_entropy", "calibration_error", "overfit"]


def damaged(path: Path, name: str, value: Any = None, *, is_absent: bool = False) -> str:
    """Put something else in the place of a figure; return the key that the refusal must name."""
    report = json.loads(path.read_bytes())
    group = report if name == "overfit" else report["test"]
    group[name] = value
    if is_absent:
        del group[name]
    path.write_text(json.dumps(report))
    return name if name == "overfit" else f"test.{name}"


@pytest.mark.parametrize("name", FIGURES)
def test_metrics_without_a_figure_refuse(path: Path, name: str) -> None:
    key = damaged(path, name, is_absent=True)
    assert refused(path) == f"metrics.json: {key}: is missing; make it again"


@pytest.mark.long
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, True, "0.99", [], 10**400], ids=repr)
@pytest.mark.parametrize("name", FIGURES)
def test_metrics_with_something_else_for_a_figure_refuse(path: Path, name: str, value: Any) -> None:
    key = damaged(path, name, value)
    assert refused(path).startswith(f"metrics.json: {key}: ")


def test_metrics_with_a_figure_of_one_part_alone_refuse(path: Path) -> None:
    damaged(path, "luck", 1.0)
    assert refused(path).startswith("metrics.json: train.luck: is missing")


def test_metrics_of_a_later_ratchet_refuse(path: Path) -> None:
    path.write_text(json.dumps(METRICS.to_json() | {"record_version": 99}))
    assert "written by a later Ratchet" in refused(path)


@pytest.mark.parametrize("error", [DataError("why"), UsageError("why"), TypeError("why"), ValueError("why")])
def test_what_bad_data_and_bad_models_raise_is_unknown(error: Exception) -> None:
    def ask() -> int:
        raise error

    assert known(ask, lambda error: f"because: {error}") == Unknown("because: why")


@pytest.mark.parametrize(
    "error", [TryAgain("a worker was lost"), StorageError("x: no space left"), OSError(28, "full")]
)
def test_what_says_nothing_about_the_model_is_no_verdict_on_it(error: Exception) -> None:
    def ask() -> int:
        raise error

    with pytest.raises(type(error)):
        known(ask, str)


def test_what_can_be_had_is_returned() -> None:
    assert known(lambda: 3, str) == 3


def problem(given: Answers) -> str | None:
    return predictions_problem(given, evidence(), TASK)


def test_the_candidates_answers_to_the_test_rows_have_no_problem() -> None:
    assert problem(answers()) is None


@pytest.mark.parametrize("classes", [1, 3])
def test_predictions_of_another_shape_are_a_problem(classes: int) -> None:
    given = answers(answers=np.full((ROWS, classes), 1 / classes, np.float32))
    assert str(problem(given)).startswith(f"the model answers with shape [2000, {classes}], expected [2000, 2]")


def test_fewer_predictions_than_rows_are_a_problem() -> None:
    given = answers(answers=probabilities()[:-1])
    assert problem(given) == "there are 1999 predictions, the test part has 2000 rows"


def test_fewer_labels_than_rows_are_a_problem() -> None:
    assert problem(answers(labels=LABELS[:-1])) is not None


def test_a_single_answer_that_is_no_probability_is_a_problem() -> None:
    given = probabilities()
    given[3] = [0.5, 0.6]
    said = str(problem(answers(answers=given)))
    assert "the model's answer for row 3 is no probability distribution (sum 1.1)" in said


def test_a_file_that_is_missing_says_something_about_the_model_and_one_that_cannot_be_read_does_not() -> None:
    def raising(cause: Exception) -> StorageError:
        error = StorageError("x: cannot be read")
        error.__cause__ = cause
        return error

    def ask(error: Exception) -> int:
        raise error

    missing, broken = raising(FileNotFoundError()), raising(PermissionError())
    assert known(lambda: ask(missing), lambda error: f"because {error}") == Unknown("because x: cannot be read")
    with pytest.raises(StorageError):
        known(lambda: ask(broken), str)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answers(ids=IDS[:-1]), "the ids of the predictions are not those of the test rows"),
        (answers(ids=[*IDS[:-1], "other"]), "the ids of the predictions are not those of the test rows"),
        (answers(labels=1 - LABELS), "the labels of the predictions are not those of the test rows"),
        (answers(labels=LABELS[:-1]), "there are 2000 predictions, the test part has 2000 rows"),
    ],
)
def test_each_problem_of_predictions_is_named(given: Answers, said: str) -> None:
    assert problem(given) == said


def test_without_test_rows_that_is_the_problem() -> None:
    none = Answers([], LABELS[:0], probabilities()[:0])
    assert predictions_problem(none, evidence(test_ids=[], test_labels=LABELS[:0]), TASK) == "there are no test rows"


def test_answers_that_can_be_measured_have_no_problem() -> None:
    assert answers_problem(answers(), TASK) is None
    assert answers_problem(answers(answers=probabilities() * 3), TASK) is not None
