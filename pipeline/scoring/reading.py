"""What is read of a source to be scored: the features, and what a row is called; neither targets nor parts.

So a source needs no column of targets, and a row without one, or of a class that nobody knows, is scored as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.opening import open_source
from pipeline.data.source_rows import Source
from pipeline.data.wanted import wanted
from pipeline.errors import UsageError
from pipeline.recipe.recipe import SOURCE, IngestParams, Recipe, Roles
from pipeline.recipe.slots import Choice
from pipeline.recipe.table_source import AFTER, BEFORE, TableSettings
from pipeline.records.feature import FeatureSpec
from pipeline.storage.row_columns import RowColumns

_OF_TARGETS = ("target", "part")  # settings of tables


class Asked(NamedTuple):
    """What of a recipe says how rows are read to be scored: a source, the roles that matter, and what rows have."""

    choice: Choice
    roles: Roles
    own: RowColumns


def asked_of(recipe: Recipe) -> Asked:
    """Return how a recipe's source is read without targets.

    Of the roles the id stays, and the time where joins, or what is known when, are held against it.
    """
    choice, roles = recipe.data.source, recipe.data.roles
    settings = SOURCE.settings(choice, "data.source")
    needs_time = False
    if isinstance(settings, TableSettings):
        rest = {key: value for key, value in choice.settings.items() if key not in _OF_TARGETS}
        choice = choice.model_copy(update={"settings": rest})
        needs_time = bool(settings.joins) or bool(settings.known_at.keys() - {BEFORE, AFTER})
    kept = Roles(id=roles.id, time=roles.time if needs_time else None)
    return Asked(choice, kept, RowColumns.of(recipe.data.classes, kept))


def open_input(recipe: Recipe, asked: Asked, path: Path, features: Sequence[FeatureSpec]) -> Source:
    """Open what stands at a path as the recipe's source; its tables have no labels.

    Raises as `open_source` does, and UsageError where the source keeps its data elsewhere than at a path.
    """
    names = {spec.name for spec in features}
    of_model = {name: feature for name, feature in recipe.data.features.items() if name in names}
    wants = wanted(recipe.data.classes, of_model, asked.roles)
    source = open_source(asked.choice, path, wants, IngestParams(snapshots=recipe.ingest.snapshots))
    return Source(source.rows, without_labels(source.tables, asked.own))


def without_labels(tables: Iterable[pa.Table], own: RowColumns) -> Iterator[pa.Table]:
    """Yield tables whose rows have no label, and no detail that is about one."""
    for table in tables:
        columns = {name: table[name] for name in table.column_names}
        columns["label"] = pa.nulls(table.num_rows, own.label)
        if "problem" in columns and "detail" in columns:
            nothing = pa.scalar(None, columns["detail"].type)
            columns["detail"] = pc.if_else(pc.is_valid(columns["problem"]), columns["detail"], nothing)
        yield pa.table(columns)


def require_apart(source: Path, output: Path) -> None:
    """Raise UsageError where scores would become rows of the source, or stand in its place."""
    inside, outside = output.resolve(), source.resolve()
    if inside == outside or inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise UsageError(f"{output}: is in the input, or the input in it; name a folder beside it")
