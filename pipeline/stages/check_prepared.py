"""Holds the prepared and the augmented data against their contract."""

from __future__ import annotations

from pipeline import artifacts
from pipeline.contracts import frames, suites
from pipeline.contracts.holding import hold
from pipeline.progress import count
from pipeline.stages.context import StageContext


def run(stage: StageContext) -> str:
    """Publish `reports/contracts/prepared`: `result.json` and the documents. Raises ContractError if it is not kept."""
    contracts = stage.param("data.contracts", str)
    suite = suites.read_suite(stage.dep(f"{contracts}/prepared.yaml"), frames.PREPARED_COLUMNS)
    folders = {part: f"data/prepared/{part}" for part in (frames.TRAIN, frames.VALIDATION, frames.TEST)}
    folders[frames.AUGMENTED] = "data/augmented"
    parts = {part: frames.open_part(stage.dep(folder)) for part, folder in folders.items()}
    result = hold(
        suite,
        lambda spark: frames.prepared_frame(spark, parts),
        data_digest=artifacts.digest_json({part: dataset.manifest.digest for part, dataset in parts.items()}),
        out=stage.out("reports/contracts/prepared"),
        spark=stage.execution.spark,
        progress=stage.progress,
    )
    return f"{len(result.verdicts)} expectations kept by {count(result.rows)} rows"
