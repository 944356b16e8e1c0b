"""Prepares every feature as fixed-size values; what is fitted is fitted on the training part only."""

from __future__ import annotations

from functools import partial

from pipeline.data.feature_kinds import specs
from pipeline.data.normalizing import normalize_dataset
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `data/prepared`: a data set for each part, with the fitted features in its manifest."""
    features = specs(stage.param("data.features", dict))
    with (
        stage.progress.entering("Spark", spark_session(stage.execution.spark, stage.name)) as session,
        published_folder(stage.out("data/prepared")) as prepared,
    ):
        rows = normalize_dataset(
            session,
            stage.dep("data/clean"),
            stage.dep("data/split"),
            prepared,
            features=features,
            on_progress=partial(stage.progress.advance, unit="rows"),
        )
    return f"{count(rows)} rows: " + ", ".join(f"{spec.name} {spec.type}" for spec in features)
