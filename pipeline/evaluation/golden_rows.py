"""Golden rows: the data phase prepares raw values on Spark, and the served model by layers inside it, to the same end.

The first test rows go both ways. What differs by more than rounding is a bug: then what was trained is not what would
be served.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import Bug
from pipeline.records.golden import GoldenFeature, GoldenRows
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.mapped import Values
from pipeline.storage.shards import Columns

ROWS = 256
TOLERANCE = 1e-6  # of a number around 1 and, above that, of its size
_SHOWN, _CHARACTERS = 3, 100
_FLOOR = 1e-7  # below float32's resolution differences are none


def hold_golden_rows(model_folder: Path, served: Columns, prepared: Mapping[str, Values]) -> GoldenRows:
    """Return how far both ways differ on the first rows of the test part; raise Bug if a feature differs by too much.

    `served` are raw values by feature, `prepared` the values that the data phase made of them, in the same order.
    """
    from pipeline.models import stored
    from pipeline.models.build import preprocessing_module

    found = []
    rows = min([ROWS, *(len(values) for values in served.values())]) if served else 0
    for spec in stored.read_architecture(model_folder).features:
        if spec.name not in served:
            continue
        tf = import_tensorflow()
        raw = served[spec.name][:rows]
        made = preprocessing_module(spec.kind).prepare(spec, tf.constant(raw)).numpy()
        gap = _largest_difference(made, prepared[spec.name][:rows])
        if not gap <= (0 if np.issubdtype(made.dtype, np.integer) else TOLERANCE):
            raise Bug(
                f"feature {spec.name}: the served model prepares it differently from the data phase, by {gap:g} on the "
                f"first {rows} test rows; please report it"
            )
        shown = [_shown(value) for value in raw[:_SHOWN].tolist()]
        found.append(
            GoldenFeature(name=spec.name, kind=spec.kind, largest_difference=_rounded_up(gap), raw=tuple(shown))
        )
    return GoldenRows(rows=rows, tolerance=TOLERANCE, features=tuple(found))


def _shown(value: float | str) -> float | str | None:
    """Return a value as a file may hold it: no NaN, and of a text its beginning."""
    if isinstance(value, str):
        return value if len(value) <= _CHARACTERS else value[: _CHARACTERS - 1] + "…"
    return None if math.isnan(value) else value


def _largest_difference(made: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    if made.shape != expected.shape or made.dtype != expected.dtype:
        return math.inf
    own, other = made.astype(np.float64), expected.astype(np.float64)
    return float(np.max(np.abs(own - other) / np.maximum(1.0, np.abs(other)), initial=0.0))


def _rounded_up(gap: float) -> float:
    """Return a power of ten: the last bits may differ between machines, what DVC tracks should not."""
    return 0.0 if gap == 0 else max(_FLOOR, float(f"1e{math.ceil(math.log10(gap))}"))
