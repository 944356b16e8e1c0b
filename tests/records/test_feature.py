"""A feature says what a value is: its type, its size, and that its shape is one."""

from __future__ import annotations

import pytest

from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec
from tests.records.examples import FEATURE


@pytest.mark.parametrize(
    ("dtype", "shape", "said", "size_bytes"),
    [
        ("uint8", (28, 28, 1), "uint8[28,28,1]", 784),
        ("float32", (), "float32", 4),
        ("int64", (3,), "int64[3]", 24),
        ("int32", (2, 2), "int32[2,2]", 16),
    ],
)
def test_type_and_size_follow_from_dtype_and_shape(
    dtype: str, shape: tuple[int, ...], said: str, size_bytes: int
) -> None:
    spec = FeatureSpec.model_validate({"name": "x", "kind": "y", "dtype": dtype, "shape": shape})
    assert (spec.type, spec.size_bytes) == (said, size_bytes)


@pytest.mark.parametrize("shape", [[0], [2, -1], [2**20, 2**20]], ids=str)
def test_what_is_no_shape_is_refused(shape: list[int]) -> None:
    with pytest.raises(DataError, match=r"x\.json: shape: .* is no shape of a value"):
        FeatureSpec.from_json({**FEATURE.to_json(), "shape": shape}, "x.json")


def test_a_type_that_no_tensor_has_is_refused() -> None:
    with pytest.raises(DataError, match=r"x\.json: dtype: "):
        FeatureSpec.from_json({**FEATURE.to_json(), "dtype": "decimal"}, "x.json")
