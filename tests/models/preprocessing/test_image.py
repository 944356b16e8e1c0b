"""Grey levels are normalised by channel with what was fitted, or refused. Keras' part of it: tests/system/models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.models.preprocessing.image import raw_input, scale_and_offset
from pipeline.records.feature import FeatureSpec
from tests.training.made import image_spec

COLOUR = image_spec((8, 9, 3), name="photo")


def fitted(mean: Any, std: Any) -> FeatureSpec:
    return COLOUR.changed(fitted={"mean": mean, "std": std})


def test_the_mean_becomes_0_and_a_deviation_above_it_1_in_each_channel() -> None:
    mean, std = np.array([10.0, 100.0, 250.0]), np.array([2.0, 50.0, 7.0])

    scale, offset = map(np.array, scale_and_offset(fitted(mean.tolist(), std.tolist())))

    assert scale * mean + offset == pytest.approx(0)
    assert scale * (mean + std) + offset == pytest.approx(1)
    assert scale * (mean - std) + offset == pytest.approx(-1)


def test_a_channel_that_never_changes_is_only_moved() -> None:
    scale, offset = scale_and_offset(fitted([10.0, 20.0, 30.0], [0.0, 0.5, 0]))

    assert scale == [1.0, 2.0, 1.0]
    assert offset == [-10.0, -40.0, -30.0]


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0, -0.1]),
        ([1.0, 2.0, float("nan")], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0, float("inf")]),
        ([1.0, 2.0, "3"], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, True], [1.0, 2.0, 3.0]),
        (None, [1.0, 2.0, 3.0]),
        (3.0, 3.0),
    ],
)
def test_what_is_no_mean_and_deviation_for_each_channel_is_refused(mean: Any, std: Any) -> None:
    with pytest.raises(DataError, match=r"^feature photo: mean .* and std .* do not fit 3 channels of grey levels$"):
        scale_and_offset(fitted(mean, std))


def test_what_was_never_fitted_is_refused() -> None:
    with pytest.raises(DataError, match=r"mean \[\] and std \[\] do not fit 3 channels"):
        scale_and_offset(COLOUR.changed(fitted=None))


def test_the_served_model_takes_images_of_any_size_with_their_channels() -> None:
    assert raw_input(COLOUR) == ((None, None, 3), "uint8")
