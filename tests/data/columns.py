"""Features of one column, `x`: examined, fitted and prepared from its raw texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.feature_kinds import Examined, kind_of, specs
from pipeline.data.features import category, number
from pipeline.recipe.slots import Feature
from pipeline.records.feature import FeatureSpec

Texts = Sequence[str | None]
KINDS: dict[str, ModuleType] = {"number": number, "category": category}


def column_spec(kind: str, **settings: Any) -> FeatureSpec:
    [spec] = specs({"x": Feature(kind=kind, settings=settings)})
    return spec


def raw(texts: Texts) -> pa.Table:
    return pa.table({"x": pa.array(texts, pa.string())})


def examined(spec: FeatureSpec, texts: Texts) -> Examined:
    table = raw(texts)
    return kind_of(spec).examine(spec, table, kind_of(spec).raw_digests(spec, table))


def clean(spec: FeatureSpec, texts: Texts) -> pa.Table:
    """Return clean rows of raw ones that are all usable."""
    found = examined(spec, texts)
    assert found.reasons.tolist() == [None] * len(texts), found.details
    return pa.table({"x": found.columns["x"]}, pa.schema(kind_of(spec).clean_columns(spec)))


def fitted(spec: FeatureSpec, texts: Texts) -> FeatureSpec:
    """Return the feature as it is fitted on training rows of these texts."""
    module = KINDS[spec.kind]
    return spec.changed(fitted=module.fit(spec, [module.learn(spec, clean(spec, texts))]))


def fitted_in_pieces(spec: FeatureSpec, texts: Texts, cuts: Sequence[int], random: Random) -> dict[str, Any]:
    """Return what is fitted of the same rows in another order, cut into pieces, which come in any order."""
    shuffled = random.sample(texts, len(texts))
    ends = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    module = KINDS[spec.kind]
    parts = [module.learn(spec, clean(spec, shuffled[a:b])) for a, b in pairwise(ends)]
    random.shuffle(parts)
    result: dict[str, Any] = module.fit(spec, parts)
    return result


def prepared(spec: FeatureSpec, texts: Texts) -> npt.NDArray[Any]:
    return kind_of(spec).prepare(spec, clean(spec, texts))


def left_out(spec: FeatureSpec, texts: Texts, part: str) -> list[tuple[Any, Any]]:
    """Return reason and detail of each row."""
    reasons, details = KINDS[spec.kind].left_out(spec, clean(spec, texts), part)
    assert isinstance(reasons, np.ndarray)
    return list(zip(reasons.tolist(), details.tolist(), strict=True))
