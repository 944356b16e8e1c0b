"""What a recipe wants of its source: the classes, the features with their columns, and the columns with a role."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from pipeline.recipe.recipe import FEATURE, DataParams, IngestParams, Roles

_NO_ROLES = Roles()
_NOT_OF_A_NAME = re.compile(r"[^a-z0-9_]")


class WantedFeature(NamedTuple):
    """A feature, its kind, and the column of the source that it is made of."""

    name: str
    kind: str
    column: str


class Wanted(NamedTuple):
    """What is wanted of a source. Without classes the target is a number. `as_of`: as it was at this day's end."""

    classes: tuple[str, ...] = ()
    features: tuple[WantedFeature, ...] = ()
    roles: Roles = _NO_ROLES
    as_of: date | None = None


def wanted_of(data: DataParams, ingest: IngestParams) -> Wanted:
    """Return what a recipe wants of its source."""
    features = []
    for name, feature in data.features.items():
        settings = FEATURE.settings(feature, f"data.features.{name}")
        column = getattr(settings, "column", None) or name
        features.append(WantedFeature(name, feature.kind, column))
    as_of = date.fromisoformat(ingest.as_of) if ingest.as_of else None
    return Wanted(tuple(data.classes), tuple(features), data.roles, as_of)


def slice_column(name: str) -> str:
    """Return the rows' column with the values of a source's column by which is sliced: Wind Dir: slice_wind_dir."""
    return f"slice_{_NOT_OF_A_NAME.sub('_', name.lower())}"
