"""What the tests of scoring are about: a model of a number and a category, and one of a number's own unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.feature_kinds import Specs, content_digests, raw_schema, specs
from pipeline.recipe.slots import Feature
from pipeline.scoring.model import ScoringModel
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import Columns

CLASSES = ("no", "yes")
FITTED = {"vocabulary": ["a", "b"], "fill": None}


def features(**of_category: Any) -> Specs:
    """Return a number from 0 to 100 and a category that is fitted on `a` and `b`."""
    given = {
        "age": Feature(kind="number", settings={"low": 0.0, "high": 100.0}),
        "place": Feature(kind="category", settings=of_category),
    }
    age, place = specs(given)
    return age, place.changed(fitted=FITTED)


def model(classes: Sequence[str] = CLASSES, specs_: Specs | None = None, **changes: Any) -> ScoringModel:
    """Return a model that nobody loads."""
    values: dict[str, Any] = {
        "name": "ages",
        "version": 3,
        "digest": "sha256:0a",
        "saved_model": Path("/nowhere"),
        "export": "0b",
        "features": specs_ or features(),
        "inputs": {"age": "float64", "place": "string"},
        "classes": tuple(classes),
    }
    return ScoringModel(**{**values, **changes})


def own(given: ScoringModel, *roles: str) -> RowColumns:
    """Return what rows to be scored by a model have beside features."""
    return RowColumns(not given.classes, roles)


def raw(given: ScoringModel, rows: Sequence[Mapping[str, Any]], *roles: str) -> pa.Table:
    """Return raw rows without labels, as a source delivers them: texts of `age` and `place`, or a problem."""
    whole = [
        {"id": f"id-{number}", "part": "train", "source": "file.csv", "row": number + 1, **row}
        for number, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(whole, raw_schema(given.features, own(given, *roles)))
    digests = content_digests(given.features, table, own(given, *roles))
    place = table.column_names.index("content_digest")
    return table.set_column(place, "content_digest", pa.array(digests, pa.string()))


def probabilities(columns: Columns) -> npt.NDArray[np.float32]:
    """Answer: the probability of `yes` is a hundredth of the age."""
    of_yes = columns["age"] / 100
    return np.stack([1 - of_yes, of_yes], axis=1).astype(np.float32)


def doubled(columns: Columns) -> npt.NDArray[np.float32]:
    """Answer: twice the age."""
    return (2 * columns["age"]).astype(np.float32)[:, None]
