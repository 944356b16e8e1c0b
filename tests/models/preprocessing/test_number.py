"""What was fitted of numbers is taken or refused. TensorFlow's part of it: tests/system/models/test_columns.py."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.data.features import number as kind
from pipeline.errors import DataError
from pipeline.models.preprocessing import number
from pipeline.models.preprocessing.number import layers, raw_input, scaling
from tests.data.columns import column_spec, fitted

ALL = {
    "missing": "mean",
    "outliers": {"method": "zscore", "bound": 1.0, "action": "clip"},
    "scale": "log",
}


def test_what_the_data_phase_fits_is_taken() -> None:
    spec = fitted(column_spec("number", **ALL), ["1", "2", None])
    assert scaling(spec)._asdict() == spec.fitted
    assert layers(spec, "prepared") == "prepared"
    bare = fitted(column_spec("number"), ["1", "2"])
    assert scaling(bare)._asdict() == bare.fitted


@pytest.mark.parametrize("key", ["fill", "lower", "upper", "least", "centre", "spread"])
@pytest.mark.parametrize("wrong", [None, "1", True, float("nan"), float("inf"), [1.0]], ids=str)
def test_what_is_no_number_where_one_is_needed_is_refused_by_its_name(key: str, wrong: Any) -> None:
    spec = fitted(column_spec("number", **ALL), ["1", "2", None])
    with pytest.raises(
        DataError, match=rf"^feature x: {key} .* does not fit the settings of a number; train it again$"
    ):
        layers(spec.changed(fitted={**(spec.fitted or {}), key: wrong}), None)


@pytest.mark.parametrize("key", ["fill", "lower", "upper", "least"])
def test_a_figure_of_a_step_that_the_settings_do_not_have_is_refused(key: str) -> None:
    spec = fitted(column_spec("number"), ["1", "2"])
    with pytest.raises(DataError, match=f"^feature x: {key} 1.0 does not fit"):
        layers(spec.changed(fitted={**(spec.fitted or {}), key: 1.0}), None)


@pytest.mark.parametrize("spread", [0, 0.0, -1.0])
def test_a_spread_that_cannot_divide_is_refused(spread: float) -> None:
    spec = fitted(column_spec("number"), ["1", "2"])
    with pytest.raises(DataError, match=r"^feature x: spread"):
        scaling(spec.changed(fitted={**(spec.fitted or {}), "spread": spread}))


def test_what_was_never_fitted_is_refused() -> None:
    with pytest.raises(DataError, match=r"^feature x: centre None"):
        scaling(column_spec("number"))


def test_the_served_model_takes_a_number() -> None:
    assert raw_input(column_spec("number")) == ((), "float64")


def test_the_limit_is_the_data_phase_s() -> None:
    from pipeline.data import number_scaling

    assert number._LIMIT == kind._LIMIT == number_scaling.LIMIT
