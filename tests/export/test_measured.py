"""A candidate's forms are measured once on a machine; what cannot be measured holds no bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, RatchetError, TryAgain
from pipeline.export import measured as module
from pipeline.export.bounds import MachineBounds
from pipeline.export.making import Made
from pipeline.export.proof_rows import Proof
from pipeline.models import stored
from pipeline.records.measured_exports import MeasuredExports
from pipeline.records.served_model import ServedFormat, ServedSpeed
from tests.models.made import architecture, image

ROWS = Proof({"image": np.zeros((20, 8, 8, 1), np.uint8)}, is_made=False)
FORM = ServedFormat(
    name="saved_model",
    path="saved_model/1",
    files={"saved_model/1/saved_model.pb": "sha256:0a"},
    size_bytes=2**20,
    largest_difference=2e-7,
    agreement=1.0,
    speeds=(ServedSpeed(rows=1, p50_ms=0.5, p95_ms=1.25), ServedSpeed(rows=64, p50_ms=2.0, p95_ms=3.5)),
)


class Making:
    """Stands in for the processes that write forms and ask them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error: RatchetError | None = None

    def __call__(self, _model: Path, _exports: Path, rows: Any, formats: Any, scratch: Path, **_: Any) -> Made:
        assert scratch.is_dir()
        self.asked.append(tuple(formats))
        if self.error:
            raise self.error
        return Made(np.zeros((len(rows["image"]), 2), np.float32), (FORM,), {}, {"litert": "it has texts"})


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Making:
    stand_in = Making()
    monkeypatch.setattr(module, "make", stand_in)
    return stand_in


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weights = {"dense/kernel": np.ones((2, 2), np.float32)}
    stored.save_weights(tmp_path / "model", architecture(image()), weights)
    return tmp_path / "model"


def measured(model: Path, *formats: str, test: str = "sha256:t", **more: Any) -> MeasuredExports:
    root = model.parent
    return module.measured(model, root / "exports", lambda: ROWS, formats, root / "scratch", test=test, **more)


def test_what_was_measured_is_not_measured_again(making: Making, model: Path) -> None:
    first = measured(model, "saved_model")
    assert (first.digest, first.rows, first.formats, first.beyond) == (stored.digest(model), 20, (FORM,), "")
    assert first.refused == {"litert": "it has texts"}
    assert measured(model, "saved_model") == first
    assert making.asked == [("saved_model",)]
    assert not (model.parent / "scratch").exists()


@pytest.mark.long
@pytest.mark.parametrize("change", [{"test": "sha256:u"}, {"threshold": 0.25}], ids=str)
def test_other_rows_or_another_threshold_are_another_measurement(making: Making, model: Path, change: Any) -> None:
    measured(model, "saved_model")
    measured(model, "saved_model", **change)
    measured(model, "saved_model", "onnx")
    assert len(making.asked) == 3


@pytest.mark.usefixtures("making")
def test_a_bound_is_held_by_the_saved_model_with_one_row(model: Path) -> None:
    assert measured(model, "saved_model", bounds=MachineBounds(1.25, 1.0)).beyond == ""
    assert "takes 1.25 ms" in measured(model, "saved_model", bounds=MachineBounds(1.0)).beyond
    assert "has 1 MiB, 0.5 may be" in measured(model, "saved_model", bounds=MachineBounds(None, 0.5)).beyond


@pytest.mark.long
@pytest.mark.parametrize("error", [DataError("its SavedModel answers differently"), TryAgain("not done in time")])
def test_what_cannot_be_measured_says_why_is_tried_again_and_holds_no_bound(
    making: Making, model: Path, error: RatchetError
) -> None:
    making.error = error
    assert measured(model, "saved_model").problem == str(error)
    assert measured(model, "saved_model").beyond == ""
    found = measured(model, "saved_model", bounds=MachineBounds(9.0))
    assert found.beyond == f"nothing is known of what it takes on this machine: {error}"
    assert len(making.asked) == 3
    assert not (model.parent / "scratch").exists()


def test_where_nothing_is_asked_for_nothing_is_measured(making: Making, model: Path) -> None:
    assert measured(model).problem == "export.formats in execution.yaml names none"
    assert making.asked == []


@pytest.mark.usefixtures("making")
def test_each_figure_has_a_name(model: Path) -> None:
    assert measured(model, "saved_model").figures == {
        "saved_model.size_bytes": 2**20,
        "saved_model.largest_difference": 2e-7,
        "saved_model.agreement": 1.0,
        "saved_model.p50_ms.1": 0.5,
        "saved_model.p95_ms.1": 1.25,
        "saved_model.p50_ms.64": 2.0,
        "saved_model.p95_ms.64": 3.5,
    }
