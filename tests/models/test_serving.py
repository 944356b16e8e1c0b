"""Columns in the types that a served model takes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.preprocessing import image as image_kind
from pipeline.models.serving import in_raw_types, raw_inputs
from tests.models.made import architecture, image, text

MIXED = architecture(image(name="photo"), text("body"))


def test_each_feature_is_taken_raw_by_its_name() -> None:
    assert raw_inputs(MIXED) == {"photo": ((None, None, 1), "uint8"), "body": ((), "string")}


@pytest.mark.parametrize(
    "texts",
    [["a", None, "שלום"], np.array(["a", None, "שלום"], np.object_), np.array(["a", "", "שלום"])],
    ids=["a list", "Python's", "numpy's"],
)
def test_texts_are_python_s_of_any_length_and_a_missing_one_is_empty(texts: object) -> None:
    found = in_raw_types(MIXED, {"photo": np.zeros((3, 4, 4, 1), np.float32), "body": texts, "other": [1]})
    assert list(found) == ["photo", "body"]
    assert found["body"].dtype == np.object_
    assert found["body"].tolist() == ["a", "", "שלום"]
    assert [type(each) for each in found["body"]] == [str] * 3
    assert found["photo"].dtype == np.uint8


def test_single_numbers_are_taken_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_kind, "raw_input", lambda spec: ((), "float64"))
    found = in_raw_types(architecture(image(name="hour")), {"hour": [1, None, 2.5]})
    assert found["hour"].dtype == np.float64
    np.testing.assert_array_equal(found["hour"], [1.0, np.nan, 2.5])
