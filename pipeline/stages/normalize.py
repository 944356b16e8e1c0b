"""Decodes and resizes to fixed-size uint8; statistics from the training part only."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from pipeline.data.normalizing import NormalizedShard, ShardToNormalize, normalize_shard
from pipeline.data.shard_tasks import read_shard, run_tasks, sweep_attempts
from pipeline.errors import DataError
from pipeline.recipe.recipe import ImageShape, NormalizeParams
from pipeline.records.manifest import Manifest
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest


def run(stage: StageContext) -> str:
    """Publish `data/prepared`: a data set of shards.image_schema for each part, and `statistics.json`."""
    clean, split = stage.dep("data/clean"), stage.dep("data/split")
    rows, parts = read_manifest(clean), read_manifest(split)
    if [(entry.path, entry.rows) for entry in rows.files] != [(entry.path, entry.rows) for entry in parts.files]:
        raise DataError(f"{split}: its shards are not those of {clean}; run stage split again")
    image, size = stage.param("data.image", ImageShape), stage.param("normalize", NormalizeParams)
    target = (size.height, size.width, image.channels)
    stage.progress.step("starting Spark")
    with (
        spark_session(stage.execution.spark, stage.name) as session,
        artifacts.published_folder(stage.out("data/prepared")) as prepared,
    ):
        done = run_tasks(
            session,
            partial(
                normalize_shard,
                clean=clean,
                split=split,
                prepared=prepared,
                image=(image.height, image.width, image.channels),
                target=target,
            ),
            [(task, entry.rows) for task, entry in zip(_tasks(split, parts), parts.files, strict=True)],
            lambda count, total: stage.progress.advance(count, total, "images"),
        )
        for part, by_class in parts.counts["classes"].items():
            _finish_part(prepared / part, part, done, target, list(by_class))
        training = [shard.sums["train"] for shard in done if "train" in shard.sums]
        artifacts.write_json(prepared / "statistics.json", sum(training[1:], training[0]).statistics())
    height, width, channels = target
    return f"{count(rows.rows)} images of {height} × {width} × {channels}"


def _tasks(split: Path, parts: Manifest) -> list[ShardToNormalize]:
    """Number each part's shards without gaps: a shard of `data/clean` need not have rows of every part."""
    used: Counter[str] = Counter()
    tasks = []
    for number, entry in enumerate(parts.files):
        present = sorted(set(read_shard(split / entry.path, ["part"])["part"].to_pylist()))
        tasks.append(ShardToNormalize(number, {part: used[part] for part in present}))
        used.update(present)
    return tasks


def _finish_part(
    folder: Path, part: str, done: list[NormalizedShard], target: shards.Shape, classes: list[str]
) -> None:
    sweep_attempts(folder)
    entries = [shard.entries[part] for shard in done if part in shard.entries]
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels.get(part, {}))
    counts = {"classes": {name: labels[label] for label, name in enumerate(classes)}}
    shards.finish_dataset(folder, entries, shards.image_schema(target), shape=target, counts=counts)
