"""Makes changed copies of the training rows, and shows some of them."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from pipeline.data.augmenting import augment_dataset, write_examples
from pipeline.recipe.recipe import AugmentParams
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `data/augmented`, changed copies of each training row, and examples of them.

    Where the training makes them, or for 0 copies, the first is an empty data set.
    """
    params, seed, training = stage.param("augment", AugmentParams), stage.param("seed", int), "data/prepared/train"
    spark = spark_session(stage.execution.spark, stage.name)
    with (
        published_folder(stage.out("data/augmented")) as augmented,
        stage.progress.entering("Spark", spark) if params.writes_copies else nullcontext() as session,
    ):
        manifest = augment_dataset(
            session,
            stage.dep(training),
            augmented,
            seed=seed,
            params=params,
            on_progress=partial(stage.progress.advance, unit="rows"),
        )
    with published_folder(stage.out("reports/augmentation")) as examples:
        write_examples(stage.dep(training), examples, seed=seed, params=params)
    by_class = ", and more of some classes" if params.adds_copies else ""
    if params.makes_copies:
        return f"0 rows: the training makes {params.copies} of each training row{by_class}, anew in each epoch"
    copies = params.copies if params.writes_copies else 0
    return f"{count(manifest.rows)} rows, {copies} of each training row{by_class}"
