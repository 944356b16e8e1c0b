"""Decodes rows and sorts them into kept, unlabelled and rejected, each rejected one with its reason."""

from __future__ import annotations

from functools import partial

from pipeline.data.feature_kinds import specs
from pipeline.data.shard_cleaning import Folders, clean_dataset
from pipeline.recipe.recipe import EqualRows, Roles
from pipeline.records.contract_result import ContractResult
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder
from pipeline.storage.record_files import read_record
from pipeline.storage.row_columns import RowColumns


def run(stage: StageContext) -> str:
    """Publish `data/clean`, `data/unlabelled` and `data/quarantine`.

    Shard n of each holds rows of shard n of `data/raw`, in order.
    """
    contract = stage.dep("reports/contracts/raw/result.json")
    read_record(contract, ContractResult).require_passed(contract)
    features, classes = specs(stage.param("data.features", dict)), stage.param("data.classes", tuple)
    with (
        stage.progress.entering("Spark", spark_session(stage.execution.spark, stage.name)) as session,
        published_folder(stage.out("data/clean")) as clean,
        published_folder(stage.out("data/unlabelled")) as unlabelled,
        published_folder(stage.out("data/quarantine")) as quarantine,
    ):
        counts = clean_dataset(
            session,
            Folders(stage.dep("data/raw"), clean, quarantine, unlabelled),
            classes=classes,
            features=features,
            own=RowColumns.of(classes, stage.param("data.roles", Roles)),
            equal_rows=stage.param("data.equal_rows", EqualRows),
            is_test_given=stage.param("split.method", str) == "source",
            on_progress=partial(stage.progress.advance, unit="rows"),
        )
    held_back = f", {count(counts['unlabelled'])} without a label held back" if counts["unlabelled"] else ""
    return (
        f"{count(counts['kept'])} of {count(counts['in'])} rows kept, {count(counts['rejected'])} rejected{held_back}"
    )
