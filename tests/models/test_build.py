"""What is refused before TensorFlow is imported, and weights going in and out; tests/system builds real models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, UsageError
from pipeline.models.build import build, set_weights, settings_of, weights_of
from tests.models.made import architecture, image


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "mpl"}, r"model: no architecture 'mpl' in pipeline/models/architectures \(did you mean 'mlp'\?\)"),
        ({"name": "../stored"}, r"model: no architecture '\.\./stored'"),
        (
            {"settings": {"unit": [4]}},
            r"unknown key 'model\.settings\.unit' \(did you mean 'model\.settings\.units'\?\)",
        ),
        ({"task": "clasification"}, r"no task's output 'clasification' .*did you mean 'classification'"),
        ({"features": (image(kind="imag"),)}, r"no kind of feature 'imag' .*did you mean 'image'"),
    ],
    ids=str,
)
def test_what_no_file_is_called_or_takes_is_refused_with_the_nearest(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(architecture(**changes))


def test_settings_are_complete() -> None:
    assert settings_of(architecture()).model_dump() == {"units": (4,), "dropout": 0.2, "embedding": 8}


@dataclass
class Variable:
    """What is used of a Keras variable."""

    path: str
    value: Any
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.shape = np.shape(self.value)

    def assign(self, value: Any) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.value, dtype)


@dataclass
class Model:
    """What is used of a Keras model."""

    weights: list[Variable]


@pytest.fixture
def model() -> Model:
    return Model([Variable("dense/kernel", np.zeros((2, 3))), Variable("dense/bias", np.zeros(3))])


def test_weights_go_in_and_come_out_by_name(model: Model) -> None:
    weights = {"dense/bias": np.ones(3), "dense/kernel": np.full((2, 3), 7.0)}
    set_weights(model, weights, "here")
    assert {name: array.tolist() for name, array in weights_of(model).items()} == {
        name: array.tolist() for name, array in weights.items()
    }
    assert list(weights_of(model)) == ["dense/kernel", "dense/bias"]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"dense/kernel": np.ones((2, 3))}, r"weight dense/bias has shape nothing, the architecture needs \(3,\)"),
        (
            {"dense/kernel": np.ones((3, 2)), "dense/bias": np.ones(3)},
            r"weight dense/kernel has shape \(3, 2\), the architecture needs \(2, 3\)",
        ),
        (
            {"dense/kernel": np.ones((2, 3)), "dense/bias": np.ones(3), "extra": np.ones(1)},
            r"weight extra has shape \(1,\), the architecture needs nothing",
        ),
    ],
)
def test_other_weights_are_refused_by_the_first_that_differs_and_none_is_put_in(
    model: Model, weights: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=rf"^here: {said}; train it again"):
        set_weights(model, weights, "here")
    assert all(not variable.value.any() for variable in model.weights)
