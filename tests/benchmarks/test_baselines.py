"""What a model is held against: classifiers of scikit-learn's on the rows of a finished run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import baselines
from pipeline.records.metrics import Figures, MetricsReport
from pipeline.storage.record_files import write_record
from tests.training.made import image_spec, write_rows

ROWS = {"train": 120, "validation": 40, "test": 60}


def bars(rows: int, seed: int, channels: int = 1) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Return images with one bar, upright (0) or lying (1), anywhere, bright on dark or dark on bright, and which."""
    dice = np.random.default_rng(seed)
    labels = dice.integers(0, 2, rows).astype(np.int32)
    images = dice.integers(0, 60, (rows, 28, 28, channels)).astype(np.uint8)
    for image, label, place in zip(images, labels, dice.integers(2, 22, rows), strict=True):
        (image if label else image.transpose(1, 0, 2))[place : place + 4] = 220
    images[dice.random(rows) < 0.5] ^= 255
    return images, labels


def finished(folder: Path, accuracy: float, test_rows: int = ROWS["test"], primary: str = "accuracy") -> Path:
    """Write what a run in place leaves, of a candidate with this accuracy."""
    for seed, (part, rows) in enumerate(ROWS.items()):
        images, labels = bars(rows, seed)
        write_rows(folder / "data/prepared" / part, [image_spec((28, 28, 1))], {"image": images}, labels, parts=2)
    figures: Figures = {primary: accuracy, "rows": test_rows}
    report = MetricsReport(task="classification", primary=primary, test=figures, train=figures, overfit=0.0, slices={})
    write_record(folder / "reports/metrics.json", report)
    return folder


@pytest.mark.long
def test_what_gradients_tell_and_grey_levels_do_not_is_seen_in_the_figures(tmp_path: Path) -> None:
    line = baselines.measured("bars", finished(tmp_path / "bars", accuracy=0.999), None)
    assert (line.rows, line.test_rows) == (220, 60)
    assert line.best == "HOG + SVM"
    assert line.baselines["linear SVM"] < 0.9
    assert line.baselines["HOG + SVM"] == 1.0
    assert not line.is_ahead
    assert "| `bars` | 220 (60) | accuracy | 1.000 (linear SVM" in baselines.table([line])
    assert re.search(r"\| 0\.999 \| finished before \|$", baselines.table([line]))


def test_the_best_c_is_chosen_without_the_test_part(tmp_path: Path) -> None:
    asked: list[tuple[float, int]] = []

    class Told:
        def __init__(self, c: float) -> None:
            self.c = c

        def fit(self, values: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> Told:
            assert len(values) == len(labels) == ROWS["train"]
            return self

        def score(self, values: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> float:
            asked.append((self.c, len(values)))
            return 1 - abs(self.c - 2) if len(values) == ROWS["validation"] else self.c

    project = finished(tmp_path / "bars", accuracy=0.5)
    parts = {part: baselines.read_rows(project / "data/prepared" / part) for part in baselines.PARTS}
    told = baselines.Baseline(baselines.grey_levels, Told, (1.0, 2.0, 3.0))
    assert baselines.accuracy_of(told, parts, "image") == 2.0
    assert [c for c, rows in asked if rows == ROWS["test"]] == [2.0]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_number_of_channels_are_described(channels: int) -> None:
    images, _ = bars(3, 0, channels)
    assert baselines.gradients(images).shape == (3, 6 * 6 * 2 * 2 * 9)
    assert baselines.grey_levels(images).shape == (3, 28 * 28 * channels)
    assert baselines.grey_levels(images).max() <= 1


@pytest.mark.parametrize("wrong", [{"test_rows": 59}, {"primary": "macro_f1"}], ids=str)
def test_figures_of_other_rows_or_another_metric_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    project = finished(tmp_path / "bars", 0.9, **wrong)  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match="is not of the accuracy on the rows of data/prepared"):
        baselines.measured("bars", project, None)
