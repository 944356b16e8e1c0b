"""Prepares every feature as fixed-size values; what is fitted is fitted on the training part only."""

from __future__ import annotations

from functools import partial

from pipeline.data.feature_kinds import specs
from pipeline.data.normalizing import Normalized, normalize_dataset
from pipeline.recipe.recipe import Roles
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder
from pipeline.storage.row_columns import RowColumns


def run(stage: StageContext) -> str:
    """Publish `data/prepared`: a data set for each part, with the fitted features in its manifest.

    Beside it `data/served`, the test rows as a served model takes them, and `data/left_out`, the rows that are in no
    part once it is known what was learned, each with its reason.
    """
    features = specs(stage.param("data.features", dict))
    own = RowColumns.of(stage.param("data.classes", tuple), stage.param("data.roles", Roles))
    with (
        stage.progress.entering("Spark", spark_session(stage.execution.spark, stage.name)) as session,
        published_folder(stage.out("data/prepared")) as prepared,
        published_folder(stage.out("data/served")) as served,
        published_folder(stage.out("data/left_out")) as left_out,
    ):
        by_part = normalize_dataset(
            session,
            stage.dep("data/clean"),
            stage.dep("data/split"),
            Normalized(prepared, served, left_out),
            features=features,
            on_progress=partial(stage.progress.advance, unit="rows"),
            own=own,
        )
    return f"{count(sum(by_part.values()))} rows: " + ", ".join(f"{spec.name} {spec.type}" for spec in features)
