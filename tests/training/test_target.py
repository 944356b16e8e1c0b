"""The scale of a target that is a number: exact sums over the training part, whatever the order of its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records.architecture import Architecture, TargetScale
from pipeline.training.batches import read_part
from pipeline.training.target import fit_target, scaled
from tests.training.made import image_spec, write_rows

SPEC = image_spec((2, 2, 1))


def written(folder: Path, labels: list[float], parts: int = 1) -> Path:
    values = np.array(labels, np.float64)
    return write_rows(folder, [SPEC], {"image": np.zeros((len(labels), 2, 2, 1), np.uint8)}, values, parts=parts)


@pytest.mark.parametrize("labels", [[1e16, 1.0, -1e16, 3.0], [0.1] * 7 + [0.7], [-5.0, 5.0]])
def test_no_order_of_rows_and_no_number_of_shards_changes_a_bit(tmp_path: Path, labels: list[float]) -> None:
    first = fit_target(written(tmp_path / "a", labels))
    assert first == fit_target(written(tmp_path / "b", labels[::-1], parts=2))
    assert first.mean == pytest.approx(np.mean(np.array(labels, np.longdouble)))


def test_a_target_that_never_varies_has_the_deviation_1(tmp_path: Path) -> None:
    assert fit_target(written(tmp_path / "a", [7.25] * 3)) == TargetScale(mean=7.25, deviation=1.0)


@pytest.mark.parametrize(("labels", "said"), [([], "no rows"), ([1e31], "reaches 1e"), ([np.nan], "reaches nan")])
def test_a_target_without_a_scale_is_refused(tmp_path: Path, labels: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        fit_target(written(tmp_path / "a", labels))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_scaled_labels_are_turned_back_by_mean_and_deviation(
    labels: list[float], mean: float, deviation: float
) -> None:
    target = TargetScale(mean=mean, deviation=deviation)
    values = scaled(np.array(labels), target)
    assert values.dtype == np.float32
    back = values.astype(np.float64) * deviation + mean
    assert np.abs(back - labels).max() <= 1e-6 * max(1.0, np.abs(np.array(labels) - mean).max())


def test_rows_are_trained_in_deviations_from_the_mean(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", [10.0, 14.0, 6.0])
    part = read_part([folder], 0, target=TargetScale(mean=10.0, deviation=4.0))
    assert part.labels.tolist() == [0.0, 1.0, -1.0]
    assert part.labels.dtype == np.float32
    with pytest.raises(DataError, match="some labels are not finite numbers"):
        read_part([written(tmp_path / "b", [1.0, np.nan])], 0, target=TargetScale(mean=0.0, deviation=1.0))


def test_a_model_of_classes_is_written_as_before_there_were_numbers() -> None:
    of_classes = Architecture(name="mlp", settings={}, task="classification", features=(), classes=("a", "b"))
    assert {"target", "predicts"}.isdisjoint(of_classes.to_json())
    of_numbers = of_classes.changed(classes=(), target=TargetScale(mean=1.0, deviation=2.0))
    assert of_numbers.to_json()["target"] == {"mean": 1.0, "deviation": 2.0}
    for each in (of_classes, of_numbers):
        assert Architecture.from_json(each.to_json(), "architecture.json") == each
