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


@pytest.mark.parametrize("statistics", [{}, {"mean": [1.0]}, {"mean": [1.0], "std": [1.0], "median": [1.0]}], ids=str)
def test_statistics_are_mean_and_std(architecture: StoredArchitecture, statistics: dict[str, list[float]]) -> None:
    with pytest.raises(DataError, match=r"x\.json: statistics: must be mean and std by channel, not "):
        StoredArchitecture.from_json({**architecture.to_json(), "statistics": statistics}, "x.json")


@pytest.mark.parametrize("shape", [[8, 8], [8, 8, 1, 1], [8.5, 8, 1]], ids=str)
def test_an_input_has_height_width_and_channels(architecture: StoredArchitecture, shape: list[float]) -> None:
    with pytest.raises(DataError, match=r"x\.json: input_shape"):
        StoredArchitecture.from_json({**architecture.to_json(), "input_shape": shape}, "x.json")
