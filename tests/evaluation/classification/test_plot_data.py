from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.evaluation.classification import curves, plot_data
from tests.evaluation.made_answers import MadeAnswers

ROOT = Path(__file__).resolve().parents[3]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.fixture(scope="module")
def tables(answers: MadeAnswers) -> dict[str, bytes]:
    return plot_data.tables(answers.labels, answers.probabilities, answers.classes, calibration_bins=15)


def test_every_plot_that_dvc_shows_has_the_columns_of_its_axes(tables: dict[str, bytes]) -> None:
    shown = yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["plots"]
    axes = {Path(path).name: options for entry in shown for path, options in entry.items()}

    assert axes.keys() >= tables.keys()
    for name, table in tables.items():
        columns = rows_of(table)[0].keys()
        assert {axes[name][axis] for axis in ("x", "y")} <= columns, name


def test_confusion_has_a_row_for_each_test_row(tables: dict[str, bytes], answers: MadeAnswers) -> None:
    rows = rows_of(tables["confusion.csv"])

    assert [row["actual"] for row in rows] == [answers.classes[label] for label in answers.labels]
    right = sum(row["actual"] == row["predicted"] for row in rows)
    assert right == (answers.probabilities.argmax(axis=1) == answers.labels).sum()


def test_a_class_cannot_take_the_name_of_an_axis() -> None:
    two = curves.Curves(np.array([0.0, 1.0]), np.array([[0.0, 1.0], [0.5, 1.0]]))

    columns = plot_data.roc(two, ["true_positive_rate", 'a,"b"\n']).decode()

    names = next(csv.reader(io.StringIO(columns)))
    assert names == [
        "false_positive_rate",
        "true_positive_rate",
        "true_positive_rate of true_positive_rate",
        'true_positive_rate of a,"b"\n',
    ]


def test_calibration_has_a_row_for_each_bin_that_holds_rows(tables: dict[str, bytes], answers: MadeAnswers) -> None:
    rows = rows_of(tables["calibration.csv"])

    assert sum(int(row["rows"]) for row in rows) == len(answers.labels)
    assert all(int(row["rows"]) for row in rows)


def test_a_curve_has_a_column_for_the_mean_and_one_for_each_class(tables: dict[str, bytes]) -> None:
    assert list(rows_of(tables["precision_recall.csv"])[0]) == [
        *("recall", "precision"),
        *(f"precision of {name}" for name in ("boot", "coat", "bag", "shirt")),
    ]
