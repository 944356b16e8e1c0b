"""Makes changed copies of the training rows."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from pipeline.data.augmenting import augment_dataset
from pipeline.recipe.recipe import AugmentParams
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `data/augmented`: `copies` changed copies of each training row; an empty data set for 0 copies."""
    params = stage.param("augment", AugmentParams)
    spark = spark_session(stage.execution.spark, stage.name)
    with (
        published_folder(stage.out("data/augmented")) as augmented,
        stage.progress.entering("Spark", spark) if params.copies else nullcontext() as session,
    ):
        manifest = augment_dataset(
            session,
            stage.dep("data/prepared/train"),
            augmented,
            seed=stage.param("seed", int),
            params=params,
            on_progress=partial(stage.progress.advance, unit="rows"),
        )
    return f"{count(manifest.rows)} rows, {params.copies} of each training row"
