"""What is refused before TensorFlow is imported, and weights going in and out; tests/system builds real models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import DataError, UsageError
from pipeline.models.build import build, set_weights, weights_of
from pipeline.records.architecture import Architecture


def architecture(statistics: dict[str, Any], name: str = "mlp") -> Architecture:
    return Architecture(name=name, settings={}, input_shape=(8, 8, 1), classes=("yes", "no"), statistics=statistics)


@pytest.mark.parametrize(
    "statistics", [{"mean": [1.0, 2.0], "std": [1.0]}, {"mean": [1.0], "std": []}, {"mean": [1.0], "std": [-1.0]}]
)
def test_statistics_that_do_not_fit_the_images_are_refused(statistics: dict[str, list[float]]) -> None:
    with pytest.raises(DataError, match="do not fit 1 channels of grey levels"):
        build(architecture(statistics))


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_statistics_that_are_not_finite_cannot_be_said(figure: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        architecture({"mean": [figure], "std": [1.0]})


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no architecture 'mpl'.*did you mean 'mlp'"):
        build(architecture({"mean": [1.0], "std": [1.0]}, name="mpl"))


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
