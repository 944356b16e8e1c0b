"""Writes the source's rows as Parquet shards with stable ids."""

from __future__ import annotations

from collections import Counter

import pyarrow.compute as pc

from pipeline.data.feature_kinds import raw_schema, specs
from pipeline.data.opening import open_source, predicted
from pipeline.data.source_rows import raw_shards, require_delivered
from pipeline.data.value_counts import occurrences
from pipeline.data.wanted import wanted
from pipeline.recipe.recipe import IngestParams, Roles
from pipeline.recipe.slots import Choice
from pipeline.records.manifest import FileEntry
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.row_columns import RowColumns


def run(stage: StageContext) -> str:
    """Publish `data/raw`: raw rows, counted by the source's part, by label and by problem."""
    features = specs(stage.param("data.features", dict))
    classes, roles = stage.param("data.classes", tuple), stage.param("data.roles", Roles)
    own, ingest = RowColumns.of(classes, roles), stage.param("ingest", IngestParams)
    schema = raw_schema(features, own)
    folder = stage.dep(stage.param("data.path", str))
    asked = wanted(classes, stage.param("data.features", dict), roles, ingest)
    source = open_source(stage.param("data.source", Choice), folder, asked, ingest)
    parts: Counter[str] = Counter()
    labels: Counter[int] = Counter()
    problems: Counter[str] = Counter()
    unlabelled = 0
    with artifacts.published_folder(stage.out("data/raw")) as folder:
        entries: list[FileEntry] = []
        for table in raw_shards(source.tables, features, own):
            entries.append(shards.write_shard(folder, len(entries), schema, [table]))
            parts.update(occurrences(table["part"]))
            unlabelled += pc.sum(pc.and_(pc.is_null(table["label"]), pc.is_null(table["problem"]))).as_py() or 0
            if not own.is_number:
                labels.update(occurrences(table["label"].drop_null()))
            problems.update(occurrences(table["problem"].drop_null()))
            stage.progress.advance(parts.total(), source.rows, "rows")
        require_delivered(source, parts.total())
        counts = {
            "parts": dict(sorted(parts.items(), reverse=True)),
            "labels": {str(label): rows for label, rows in sorted(labels.items())},
            "unlabelled": unlabelled,
            "problems": dict(sorted(problems.items())),
            **predicted(stage.param("data.source", Choice)),
        }
        manifest = shards.finish_dataset(folder, entries, schema, counts=counts)
    return f"{count(manifest.rows)} rows" + (f", {sum(label >= 0 for label in labels)} labels" if classes else "")
