"""Writes the source's rows as Parquet shards with stable ids."""

from __future__ import annotations

from collections import Counter

from pipeline.data.feature_kinds import raw_schema, specs
from pipeline.data.opening import open_source
from pipeline.data.source_rows import raw_shards, require_delivered
from pipeline.recipe.recipe import IngestParams
from pipeline.recipe.slots import Choice
from pipeline.records.manifest import FileEntry
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards


def run(stage: StageContext) -> str:
    """Publish `data/raw`: rows with the raw columns of the features, counted by the source's part and by label."""
    features = specs(stage.param("data.features", dict))
    schema = raw_schema(features)
    folder = stage.dep(stage.param("data.path", str))
    source = open_source(stage.param("data.source", Choice), folder, stage.param("ingest", IngestParams).as_of)
    parts: Counter[str] = Counter()
    labels: Counter[int] = Counter()
    with artifacts.published_folder(stage.out("data/raw")) as folder:
        entries: list[FileEntry] = []
        for table in raw_shards(source.tables, features):
            entries.append(shards.write_shard(folder, len(entries), schema, [table]))
            parts.update(table["part"].to_pylist())
            labels.update(table["label"].to_pylist())
            stage.progress.advance(parts.total(), source.rows, "rows")
        require_delivered(source, parts.total())
        counts = {
            "parts": dict(sorted(parts.items(), reverse=True)),
            "labels": {str(label): rows for label, rows in sorted(labels.items())},
        }
        manifest = shards.finish_dataset(folder, entries, schema, counts=counts)
    return f"{count(manifest.rows)} rows, {len(labels)} labels"
