"""What models of tables and texts are held against: scikit-learn on a run's rows, and how far behind they may be."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import baselines, row_baselines
from benchmarks.baselines import Line
from benchmarks.row_baselines import AUC, MAE, RIGHT, Part
from pipeline.records.metrics import MetricsReport

ROWS = {"train": 400, "validation": 100, "test": 200}


def parts_of(seed: int = 0, *, is_number: bool = False) -> dict[str, Part]:
    """Return parts of a table whose target follows from a number and a category, with noise."""
    dice = np.random.default_rng(seed)
    parts = {}
    for name, rows in ROWS.items():
        number, letter = dice.normal(size=rows), dice.choice(["a", "b"], rows)
        target = number + 2 * (letter == "a") + dice.normal(0, 0.3, rows)
        values = pd.DataFrame({"number": number, "letter": pd.Categorical(letter)})
        parts[name] = Part(values, target if is_number else (target > 1).astype(np.int32))
    return parts


def report(primary: str, **figures: float) -> MetricsReport:
    return MetricsReport(task="x", primary=primary, test=figures, train=figures, overfit=0.0, slices={})


@pytest.mark.parametrize(
    ("figure", "baseline", "reached", "missed"),
    [(AUC, 0.7, 0.6901, 0.6899), (MAE, 20.0, 20.59, 20.61), (RIGHT, 0.98, 0.9751, 0.9749)],
    ids=["auc", "mae", "accuracy"],
)
def test_a_model_may_be_as_far_behind_as_is_asked_of_it(
    figure: row_baselines.Figure, baseline: float, reached: float, missed: float
) -> None:
    assert figure.is_reached(reached, baseline)
    assert not figure.is_reached(missed, baseline)
    line = Line("x", 700, 200, {"worse": figure.bound(baseline), "better": baseline}, missed, 1.0, None, figure)
    assert line.best == "better"
    assert not line.is_ahead
    assert "NOT as good as asked" in line.verdict
    assert f"| {figure.title} |" in baselines.table([line])


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small models."""
    monkeypatch.setattr(row_baselines, "ITERATIONS", (10, 40))
    monkeypatch.setattr(row_baselines, "LEAVES", (8,))


@pytest.mark.usefixtures("_quick")
def test_gradient_boosting_finds_what_numbers_and_categories_tell() -> None:
    assert row_baselines.gradient_boosting(AUC, parts_of(), ["number", "letter"]) > 0.95
    assert row_baselines.gradient_boosting(AUC, parts_of(), ["number"]) < 0.9
    assert row_baselines.gradient_boosting(MAE, parts_of(is_number=True), ["number", "letter"]) < 0.4


def test_words_that_tell_the_class_are_found_by_the_svm() -> None:
    dice = np.random.default_rng(1)
    parts = {}
    for name, rows in ROWS.items():
        labels = dice.integers(0, 2, rows).astype(np.int32)
        said = [f"the {dice.choice(['large', 'small'])} {'prize' if label else 'meeting'} today" for label in labels]
        parts[name] = Part(pd.DataFrame({"text": said}), labels)
    assert row_baselines.svm(parts, "text", ngram_range=(1, 2), min_df=2) == 1.0


def test_the_chosen_model_is_the_best_of_the_validation_part_whatever_the_test_part_says() -> None:
    class Told:
        def __init__(self, right: dict[int, int]) -> None:
            self.right = right

        def fit(self, values: list[int], _labels: object) -> Told:
            assert len(values) == 4
            return self

        def predict(self, values: list[int]) -> np.ndarray:
            return np.arange(len(values)) < self.right[len(values)]

    values = {"train": [0] * 4, "validation": [0] * 2, "test": [0] * 3}
    labels = {part: np.ones(len(rows), bool) for part, rows in values.items()}
    models = [Told({2: 1, 3: 3}), Told({2: 2, 3: 1})]
    assert row_baselines.best_of(RIGHT, models, values, labels) == pytest.approx(1 / 3)


def test_figures_of_other_rows_are_refused() -> None:
    assert row_baselines.ours(report("auc", auc=0.7, rows=200), AUC, 200) == 0.7
    for wrong in (report("auc", auc=0.7, rows=199), report("mae", mae=0.7, rows=200)):
        with pytest.raises(SystemExit, match="of another run"):
            row_baselines.ours(wrong, AUC, 200)


def test_columns_that_are_known_afterwards_come_from_the_rows_own_places_in_the_source(tmp_path: Path) -> None:
    dice = np.random.default_rng(2)
    for quarter in (1, 2):
        table = pd.DataFrame({name: dice.integers(1, 12, 400) for name in row_baselines.AFTERWARDS[:-1]})
        table["year"], table["origin"], table["dest"], table["carrier"] = 2013, "EWR", "IAH", "UA"
        table["dep_time"] = 1000 * quarter + np.arange(400)
        (tmp_path / f"flights_q{quarter}.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    places = [("flights_q2.csv.gz", 3), ("flights_q1.csv.gz", 400), ("flights_q2.csv.gz", 1)]
    values = pd.DataFrame(places, columns=["source", "row"], index=["c", "a", "b"])
    told = row_baselines.known_afterwards(tmp_path, {"train": Part(values, np.array([0, 1, 0]))})["train"]
    assert list(told.values["dep_time"]) == [2002, 1399, 2000]
    assert list(told.values.index) == ["c", "a", "b"]
    assert list(told.values.columns) == list(row_baselines.AFTERWARDS)


def test_rows_drawn_at_random_are_each_in_one_part_with_their_own_label() -> None:
    drawn = row_baselines.mixed(parts_of())
    assert {name: len(part.labels) for name, part in drawn.items()} == {"train": 472, "validation": 53, "test": 175}
    given = pd.concat([part.values.assign(y=part.labels) for part in parts_of().values()])
    found = pd.concat([part.values.assign(y=part.labels) for part in drawn.values()])
    pd.testing.assert_frame_equal(*(each.sort_values("number").reset_index(drop=True) for each in (given, found)))
