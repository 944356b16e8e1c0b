"""What was not fitted to the images is refused when the model is built."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.models.build import build
from tests.models.made import architecture, image


@pytest.mark.parametrize(
    "fitted",
    [
        None,
        {"mean": [1.0, 2.0], "std": [1.0]},
        {"mean": [1.0], "std": []},
        {"mean": [1.0], "std": [-1.0]},
        {"mean": ["1"], "std": [1.0]},
        {"mean": [1.0]},
    ],
    ids=str,
)
def test_what_was_not_fitted_to_the_images_is_refused(fitted: dict[str, Any] | None) -> None:
    with pytest.raises(DataError, match=r"feature picture: mean .* do not fit 1 channels of grey levels"):
        build(architecture(image(name="picture", fitted=fitted)))


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_figures_that_are_not_finite_are_no_fit(figure: float) -> None:
    with pytest.raises((DataError, ValidationError)):
        build(architecture(image(fitted={"mean": [figure], "std": [1.0]})))
