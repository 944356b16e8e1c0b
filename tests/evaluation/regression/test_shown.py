"""What people are shown of predicted numbers: the largest errors in words, tables and drawings of the same bytes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of

TASK = task_of(Choice(name="regression", settings={"unit": "min"}), ())
RANDOM = np.random.default_rng(4)
LABELS = RANDOM.gamma(2, 10, 5000)
ANSWERS = (LABELS + RANDOM.normal(0, 5, 5000)).astype(np.float32)[:, None]
IDS = [f"{number:05d}" for number in range(5000)]


def test_the_largest_errors_are_told_with_their_unit() -> None:
    labels, answers = np.array([10.0, -3.0, 5.0, 7.0]), np.array([[12.5], [-3.0], [1.0], [9.5]], np.float32)
    found = TASK.mistakes(["b", "c", "d", "a"], labels, answers, 3)
    assert found is not None
    assert [(one.row, one.truth, one.answer, one.figure) for one in found.worst] == [
        (2, "5 min", "1 min", "−4 min"),
        (3, "7 min", "9.5 min", "+2.5 min"),
        (0, "10 min", "12.5 min", "+2.5 min"),
    ]
    assert found.sentence == (
        "Half of 4 validation rows are within 2.5 min of the truth, 95 % within 3.775 min; 2 are predicted too high, "
        "on average by 2.5 min."
    )


def test_errors_are_counted_by_how_large_the_truth_is() -> None:
    found = TASK.mistakes(IDS, LABELS, ANSWERS, 10)
    assert found is not None
    assert found.table is not None
    assert found.table.columns == ("truth, min", "rows", "mean absolute error, min", "mean error, min")
    assert sum(row[1] for row in found.table.rows) == 5000
    assert len(found.table.rows) == 5
    errors = np.abs(ANSWERS[:, 0] - LABELS)
    assert [one.row for one in found.worst] == np.argsort(-errors)[:10].tolist()


@pytest.mark.parametrize("count", [0, 1, 5000, 9999])
def test_no_more_mistakes_are_told_than_asked_for(count: int) -> None:
    found = TASK.mistakes(IDS, LABELS, ANSWERS, count)
    assert found is not None
    assert len(found.worst) == min(count, 5000)


def test_a_truth_that_never_varies_has_no_table_and_no_error_is_no_mistake() -> None:
    found = TASK.mistakes(IDS[:9], np.full(9, 2.0), np.full((9, 1), 2.0, np.float32), 5)
    assert found is not None
    assert (found.table, found.worst) == (None, ())
    assert len(TASK.drawings(np.full(9, 2.0), np.full((9, 1), 2.0, np.float32))) == 3


@pytest.mark.long
def test_drawings_are_those_that_are_declared_and_always_the_same() -> None:
    first, again = (TASK.drawings(LABELS, ANSWERS) for _ in range(2))
    assert first == again
    assert set(first) == {f"{plot.name}.svg" for plot in TASK.plots}
    assert b"truth, min" in first["predicted.svg"]


def test_tables_are_small_whatever_the_rows_and_count_all_of_them() -> None:
    tables = {
        name: list(csv.DictReader(io.StringIO(content.decode())))
        for name, content in TASK.tables(LABELS, ANSWERS).items()
    }
    assert {name: len(rows) for name, rows in tables.items() if name != "errors.csv"} == {
        "predicted.csv": 2000,
        "residuals.csv": 2000,
    }
    assert sum(int(row["rows"]) for row in tables["errors.csv"]) == 5000
    shown = yaml.safe_load((Path(__file__).parents[3] / "dvc.yaml").read_bytes())["plots"]
    axes = {Path(path).name: options for entry in shown for path, options in entry.items()}
    for name, rows in tables.items():
        assert {axes[name][axis] for axis in ("x", "y")} <= rows[0].keys(), name
