"""A number in a range: the kind of feature that a test adds.

Recipe: `data: {features: {weight: {kind: number, settings: {lowest: 0.0, highest: 10.0}}}}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipeline.data.feature_kinds import Examined
    from pipeline.records.feature import FeatureSpec
    from pipeline.storage.shards import Columns

MISSING = "missing"
OUT_OF_RANGE = "out of range"
REASONS = (MISSING, OUT_OF_RANGE)


class Settings(Base):
    """Its settings in the recipe."""

    lowest: float = Field(description="smallest value that is usable")
    highest: float = Field(description="largest value that is usable")


def raw_columns(name: str) -> dict[str, str]:
    return {name: "float64"}


def clean_columns(spec: FeatureSpec) -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {spec.name: pa.float64()}


def facts(name: str) -> dict[str, str]:
    return {}


def shape(settings: Settings) -> tuple[int, ...]:
    return ()


def spec(name: str, settings: Settings) -> FeatureSpec:
    from pipeline.records.feature import FeatureSpec

    return FeatureSpec(name=name, kind="number", dtype="float32", shape=(), settings=settings.model_dump(mode="json"))


def working_bytes(spec: FeatureSpec) -> int:
    return 8


def raw_digests(spec: FeatureSpec, rows: pa.Table) -> list[str]:
    import hashlib

    return [hashlib.sha256(repr(value).encode()).hexdigest() for value in rows[spec.name].to_pylist()]


def examine(spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]) -> Examined:
    import numpy as np

    from pipeline.data.feature_kinds import Examined

    values = rows[spec.name].to_numpy()  # a null is NaN
    is_in_range = (values >= spec.settings["lowest"]) & (values <= spec.settings["highest"])
    reasons = np.where(np.isnan(values), MISSING, np.where(is_in_range, None, OUT_OF_RANGE))
    details = np.asarray([f"it is {value}" for value in values.tolist()], np.object_)
    return Examined(reasons, details, digests, {spec.name: values})


def prepare(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.float32]:
    import numpy as np

    return rows[spec.name].to_numpy().astype(np.float32)


def describe(spec: FeatureSpec, values: npt.NDArray[np.float32]) -> tuple[Columns, tuple[float, float]]:
    return {}, (float(values.min()), float(values.max()))


def fit(spec: FeatureSpec, partials: Sequence[tuple[float, float]]) -> dict[str, Any]:
    return {"smallest": min(low for low, _ in partials), "largest": max(high for _, high in partials)}
