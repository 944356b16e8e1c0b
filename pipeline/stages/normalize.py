"""Decodes and resizes images to a fixed size, uint8; statistics come from the training part only."""

from __future__ import annotations

from functools import partial

from pipeline.data.normalizing import normalize_dataset
from pipeline.recipe.recipe import ImageShape, NormalizeParams
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `data/prepared`: a data set of shards.image_schema for each part, and `statistics.json`."""
    image, size = stage.param("data.image", ImageShape), stage.param("normalize", NormalizeParams)
    stage.progress.step("starting Spark")
    with (
        spark_session(stage.execution.spark, stage.name) as session,
        published_folder(stage.out("data/prepared")) as prepared,
    ):
        rows = normalize_dataset(
            session,
            stage.dep("data/clean"),
            stage.dep("data/split"),
            prepared,
            image=(image.height, image.width, image.channels),
            target=(size.height, size.width, image.channels),
            on_progress=partial(stage.progress.advance, unit="images"),
        )
    return f"{count(rows)} images of {size.height} × {size.width} × {image.channels}"
