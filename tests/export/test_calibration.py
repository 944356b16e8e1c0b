"""Rows to calibrate on are spread over all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.export import fixed_inputs
from pipeline.export.calibration import spread
from pipeline.export.formats import litert_int8


def test_rows_are_spread_from_the_first_to_the_last() -> None:
    assert spread(10, 4).tolist() == [0, 3, 6, 9]


def test_fewer_rows_than_asked_are_all_taken() -> None:
    assert spread(3, 4).tolist() == [0, 1, 2]


def test_fewer_rows_than_there_are_come_from_all_classes_of_a_sorted_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, np.ndarray] = {}
    monkeypatch.setattr(fixed_inputs, "converted", lambda _, rows: taken.update(rows) or b"")
    rows = {"image": np.repeat(np.arange(10), 100)}
    litert_int8.write(tmp_path, tmp_path / "model.tflite", litert_int8.Settings(calibration_rows=50), rows)
    assert np.bincount(taken["image"]).tolist() == [5] * 10
