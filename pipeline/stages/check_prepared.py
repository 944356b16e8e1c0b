"""Validates the prepared and the augmented data against their contract."""

from __future__ import annotations

from functools import partial

from pipeline.contracts import frames, suites
from pipeline.contracts.offending import find_places
from pipeline.contracts.validation import validate
from pipeline.records.digests import digest_json
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext


def run(stage: StageContext) -> str:
    """Publish `reports/contracts/prepared`: the result and the documents. Raises ContractError if it does not hold."""
    contracts = stage.param("data.contracts", str)
    folders = {part: f"data/prepared/{part}" for part in (frames.TRAIN, frames.VALIDATION, frames.TEST)}
    folders[frames.AUGMENTED] = "data/augmented"
    parts = {part: frames.open_part(stage.dep(folder)) for part, folder in folders.items()}
    suite = suites.read_suite(stage.dep(f"{contracts}/prepared.yaml"), frames.prepared_columns(parts))
    result = validate(
        suite,
        lambda spark: frames.prepared_frame(spark, parts),
        rows=sum(dataset.manifest.rows for dataset in parts.values()),
        data_digest=digest_json({part: dataset.manifest.digest for part, dataset in parts.items()}),
        out=stage.out("reports/contracts/prepared"),
        spark=stage.execution.spark,
        progress=stage.progress,
        places=partial(find_places, stage.dep("data/clean")),
    )
    return f"{len(result.expectations)} expectations hold for {count(result.rows)} rows"
