"""Makes changed copies of the training images."""

from __future__ import annotations

from collections import Counter
from functools import partial

from pipeline.data.augmenting import AugmentedShard, augment_shard, augmented_schema
from pipeline.data.shard_tasks import run_tasks, sweep_attempts
from pipeline.recipe.recipe import AugmentParams
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest


def run(stage: StageContext) -> str:
    """Publish `data/augmented`: `copies` changed copies of each training image; with none, a data set without rows."""
    prepared = stage.dep("data/prepared")
    training = read_manifest(prepared / "train")
    shape = shards.image_shape(training)
    params, seed = stage.param("augment", AugmentParams), stage.param("seed", int)
    with artifacts.published_folder(stage.out("data/augmented")) as folder:
        done: list[AugmentedShard] = []
        if params.copies:
            stage.progress.step("starting Spark")
            with spark_session(stage.execution.spark, stage.name) as session:
                done = run_tasks(
                    session,
                    partial(
                        augment_shard,
                        training=prepared / "train",
                        augmented=folder,
                        shape=shape,
                        seed=seed,
                        params=params,
                    ),
                    [(number, entry.rows * params.copies) for number, entry in enumerate(training.files)],
                    lambda count, total: stage.progress.advance(count, total, "images"),
                )
            sweep_attempts(folder)
        labels: Counter[int] = Counter()
        for shard in done:
            labels.update(shard.labels)
        counts = {
            "copies": params.copies,
            "classes": {name: labels[label] for label, name in enumerate(training.counts["classes"])},
        }
        entries = [shard.entry for shard in done]
        manifest = shards.finish_dataset(folder, entries, augmented_schema(shape), shape=shape, counts=counts)
    return f"{count(manifest.rows)} images, {params.copies} of each training image"
