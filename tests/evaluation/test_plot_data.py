from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.errors import DataError, StorageError
from pipeline.evaluation import curves, plot_data

ROOT = Path(__file__).resolve().parents[2]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.fixture
def tables(whole_project: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (whole_project / "reports" / "plot_data").iterdir()}


def test_every_plot_that_dvc_declares_has_the_columns_of_its_axes(tables: dict[str, bytes]) -> None:
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]["evaluate"]["plots"]
    axes = {Path(path).stem: options for entry in declared for path, options in entry.items()}

    assert axes.keys() == tables.keys()
    for name, options in axes.items():
        columns = rows_of(tables[name])[0].keys()
        assert {options[axis] for axis in ("x", "y") if axis in options} <= columns, name


def test_dvc_draws_validation_accuracy_when_no_column_is_asked_for(tables: dict[str, bytes]) -> None:
    assert list(rows_of(tables["learning_curves"])[0])[-1] == "validation_accuracy"
    assert [row["epoch"] for row in rows_of(tables["learning_curves"])] == [str(epoch) for epoch in range(1, 9)]


def test_confusion_has_a_row_for_each_test_row(tables: dict[str, bytes], answers: Any) -> None:
    rows = rows_of(tables["confusion"])

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


def test_history_is_read_as_it_was_written(tmp_path: Path, tables: dict[str, bytes]) -> None:
    (tmp_path / "history.csv").write_bytes(tables["learning_curves"])

    assert plot_data.learning_curves(plot_data.read_history(tmp_path / "history.csv")) == tables["learning_curves"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("epoch,learning_rate\n1,2\n", "column train_loss is missing"),
        ("", "column epoch is missing"),
        (",".join(plot_data.HISTORY_COLUMNS) + "\n1,2\n", "not a training history"),
        (",".join(plot_data.HISTORY_COLUMNS) + "\n1,x,1,1,1,1\n", "not a training history"),
        (",".join(plot_data.HISTORY_COLUMNS) + "\n", "no epoch"),
        (",".join(plot_data.HISTORY_COLUMNS) + "\n1,1,nan,1,1,1\n", "not finite"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "history.csv").write_text(content)

    with pytest.raises(DataError, match=named):
        plot_data.read_history(tmp_path / "history.csv")


def test_a_missing_history_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"history\.csv: cannot be read"):
        plot_data.read_history(tmp_path / "history.csv")
