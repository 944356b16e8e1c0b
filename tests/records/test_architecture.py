"""What a model is, and the bytes that its identity is taken of."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import DataError
from pipeline.records.architecture import StoredArchitecture
from tests.records.examples import example


@pytest.fixture
def architecture() -> StoredArchitecture:
    found = example(StoredArchitecture)
    assert isinstance(found, StoredArchitecture)
    return found


def test_its_bytes_are_its_json(architecture: StoredArchitecture) -> None:
    assert json.loads(architecture.to_bytes()) == architecture.to_json()


def test_its_bytes_do_not_depend_on_an_order(architecture: StoredArchitecture) -> None:
    turned = dict(reversed(architecture.to_json().items()))
    assert StoredArchitecture.from_json(turned, "x.json").to_bytes() == architecture.to_bytes()


BEFORE = {"name": "mlp", "settings": {}, "classes": ["a", "b"], "parameters": 1, "weights": "sha256:0b"}
FITTED = {"mean": [1.0], "std": [1.0]}


@pytest.mark.parametrize("statistics", [None, {}, {"mean": [1.0]}, {**FITTED, "median": [1.0]}], ids=str)
def test_statistics_of_version_1_are_mean_and_std(statistics: object) -> None:
    with pytest.raises(DataError, match="statistics must be mean and std by channel"):
        StoredArchitecture.from_json({**BEFORE, "input_shape": [8, 8, 1], "statistics": statistics}, "x.json")


@pytest.mark.parametrize("shape", [None, [8, 8], [8, 8, 1, 1], [8.5, 8, 1]], ids=str)
def test_an_input_of_version_1_has_height_width_and_channels(shape: object) -> None:
    with pytest.raises(DataError, match=r"input_shape|x\.json: features\.0\.shape"):
        StoredArchitecture.from_json({**BEFORE, "input_shape": shape, "statistics": FITTED}, "x.json")
