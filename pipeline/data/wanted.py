"""What a recipe wants of a source: the features with the columns they stand in, the roles, and the classes.

Asked when a recipe is checked, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from pipeline.recipe.recipe import FEATURE, IngestParams, Roles
from pipeline.recipe.slots import Feature

_NO_ROLES = Roles()


class WantedFeature(NamedTuple):
    """A feature by its name and kind, and the column of a table that holds it."""

    name: str
    kind: str
    column: str


class Wanted(NamedTuple):
    """What the source is to deliver. Without `classes` the target is a number."""

    classes: tuple[str, ...] = ()
    features: tuple[WantedFeature, ...] = ()
    roles: Roles = _NO_ROLES
    as_of: date | None = None  # what the source holds at the end of this date; None: now


def wanted(
    classes: tuple[str, ...],
    features: Mapping[str, Feature],
    roles: Roles = _NO_ROLES,
    ingest: IngestParams | None = None,
) -> Wanted:
    """Return what a recipe's `data` wants; raise UsageError for a feature with wrong settings."""
    as_of = ingest.as_of if ingest else None
    of_features = tuple(
        WantedFeature(name, feature.kind, column_of(name, feature)) for name, feature in features.items()
    )
    return Wanted(classes, of_features, roles, date.fromisoformat(as_of) if as_of else None)


def column_of(name: str, feature: Feature) -> str:
    """Return the column of a table that holds a feature: as its settings say, otherwise that of its name."""
    settings = FEATURE.settings(feature, f"data.features.{name}")
    return getattr(settings, "column", None) or name
