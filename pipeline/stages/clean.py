"""Sorts rows into kept and rejected, each rejected one with its reason."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.data import cleaning
from pipeline.data.shard_tasks import run_tasks, sweep_attempts
from pipeline.errors import Bug, DataError
from pipeline.recipe.recipe import ImageShape
from pipeline.records.contract_result import ContractResult
from pipeline.records.manifest import Manifest
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import read_record

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession


def run(stage: StageContext) -> str:
    """Publish `data/clean` and `data/quarantine`: shard n of either holds rows of shard n of `data/raw`, in order."""
    contract = stage.dep("reports/contracts/raw/result.json")
    read_record(contract, ContractResult).require_passed(contract)
    raw = stage.dep("data/raw")
    manifest = read_manifest(raw)
    classes: tuple[str, ...] = stage.param("data.classes", tuple)
    image = stage.param("data.image", ImageShape)
    stage.progress.step("starting Spark")
    with (
        spark_session(stage.execution.spark, stage.name) as session,
        artifacts.published_folder(stage.out("data/clean")) as clean,
        artifacts.published_folder(stage.out("data/quarantine")) as quarantine,
    ):
        stage.progress.step(f"examining {count(manifest.rows)} images")
        tasks = _shards_to_sift(session, raw, manifest, len(classes), (image.height, image.width, image.channels))
        cleaned = run_tasks(
            session,
            partial(cleaning.clean_shard, raw=raw, clean=clean, quarantine=quarantine),
            [(task, entry.rows) for task, entry in zip(tasks, manifest.files, strict=True)],
            lambda done, total: stage.progress.advance(done, total, "images"),
        )
        counts = _count(cleaned, manifest.rows, classes)
        for folder in (clean, quarantine):
            sweep_attempts(folder)
        shards.finish_dataset(clean, [shard.clean for shard in cleaned], shards.RAW_SCHEMA, counts=counts)
        rejected_entries = [shard.quarantine for shard in cleaned if shard.quarantine]
        shards.finish_dataset(
            quarantine, rejected_entries, cleaning.QUARANTINE_SCHEMA, counts={"rejected": counts["reasons"]}
        )
    return f"{count(counts['kept'])} of {count(counts['in'])} images kept, {count(counts['rejected'])} rejected"


def _shards_to_sift(
    session: SparkSession, raw: Path, manifest: Manifest, classes: int, image: shards.Shape
) -> list[cleaning.ShardToClean]:
    from pyspark.sql.pandas.types import from_arrow_schema

    numbers = range(len(manifest.files))
    examine = partial(cleaning.examine_shards, raw=raw, classes=classes, image=image)
    facts = session.range(0, len(numbers), 1, len(numbers)).mapInArrow(
        examine, from_arrow_schema(cleaning.FACTS_SCHEMA)
    )
    rejected = cleaning.rejected_rows(facts).toArrow().cast(cleaning.REJECTED_SCHEMA)
    rejected = rejected.sort_by([("shard", "ascending"), ("position", "ascending")])
    shard_column = rejected["shard"].to_numpy()
    bounds = np.searchsorted(shard_column, np.arange(len(numbers) + 1))
    return [
        cleaning.ShardToClean(
            number=number,
            positions=rejected["position"].slice(begin, end - begin).to_numpy(),
            reasons=rejected["reason"].slice(begin, end - begin).to_pylist(),
        )
        for number, begin, end in zip(numbers, bounds[:-1], bounds[1:], strict=True)
    ]


def _count(cleaned: list[cleaning.CleanedShard], rows: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """Add the shards up; raise Bug unless every row is either kept or rejected, DataError if a class has none left."""
    labels: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    for shard in cleaned:
        labels.update(shard.labels)
        reasons.update(shard.reasons)
    kept = sum(shard.clean.rows for shard in cleaned)
    rejected = sum(shard.quarantine.rows for shard in cleaned if shard.quarantine)
    if kept + rejected != rows or labels.total() != kept or reasons.total() != rejected:
        raise Bug(f"clean: {rows} rows in, but {kept} kept and {rejected} rejected; please report it")
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "none rejected"
    if not kept:
        raise DataError(f"data/raw: none of its {rows} rows can be kept ({why}); check data.image and data.classes")
    for label, name in enumerate(classes):
        if not labels[label]:
            raise DataError(
                f"data/raw: class '{name}' (label {label}) has no rows left of {rows} ({why}); "
                "check data.classes in params.yaml against the source"
            )
    return {
        "in": rows,
        "kept": kept,
        "rejected": rejected,
        "reasons": {reason: reasons[reason] for reason in cleaning.REASONS if reasons[reason]},
        "classes": {name: labels[label] for label, name in enumerate(classes)},
    }
