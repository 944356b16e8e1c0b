"""Divides the kept rows into training, validation and test part."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.data import splitting
from pipeline.data.shard_tasks import read_shard
from pipeline.recipe.recipe import SplitParams
from pipeline.records.manifest import FileEntry
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest

_COLUMNS = ("id", "label", "part", "payload_digest")
_SCHEMA = pa.schema([("id", pa.string()), ("part", pa.string())])


def run(stage: StageContext) -> str:
    """Publish `data/split`: the part of each row of `data/clean`, shard by shard and row by row, with the proof."""
    clean = stage.dep("data/clean")
    manifest = read_manifest(clean)
    classes: tuple[str, ...] = stage.param("data.classes", tuple)
    tables = [read_shard(clean / entry.path, _COLUMNS) for entry in manifest.files]
    rows = pa.concat_tables(tables)
    ids, digests = rows["id"].to_pylist(), rows["payload_digest"].to_pylist()
    labels = rows["label"].to_numpy()
    params, seed = stage.param("split", SplitParams), stage.param("seed", int)
    codes = splitting.assign(rows["part"].to_pylist(), labels, digests, params, seed)
    by_class = splitting.class_counts(codes, labels, classes)
    rows_by_part = {part: sum(by_class[part].values()) for part in splitting.PARTS}
    counts = {
        "parts": rows_by_part,
        "classes": by_class,
        "proof": splitting.prove_apart(codes, ids, digests),
    }
    parts = rows.select(["id"]).append_column("part", pa.array(np.asarray(splitting.PARTS, np.object_)[codes]))
    with artifacts.published_folder(stage.out("data/split")) as folder:
        entries: list[FileEntry] = []
        start = 0
        for table in tables:
            piece = parts.slice(start, table.num_rows)
            entries.append(shards.write_shard(folder, len(entries), _SCHEMA, [piece]))
            start += table.num_rows
            stage.progress.advance(start, manifest.rows, "images")
        shards.finish_dataset(folder, entries, _SCHEMA, counts=counts)
    return ", ".join(f"{count(rows)} {part}" for part, rows in rows_by_part.items())
