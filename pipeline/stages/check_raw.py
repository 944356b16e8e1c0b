"""Validates the raw data against its contract."""

from __future__ import annotations

from pipeline.contracts import frames, suites
from pipeline.contracts.validation import validate
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext


def run(stage: StageContext) -> str:
    """Publish `reports/contracts/raw`: `result.json` and the documents. Raises ContractError if it does not hold."""
    contracts = stage.param("data.contracts", str)
    raw = frames.open_raw(stage.dep("data/raw"))
    suite = suites.read_suite(stage.dep(f"{contracts}/raw.yaml"), frames.raw_columns(raw))
    result = validate(
        suite,
        lambda spark: frames.raw_frame(spark, raw),
        rows=raw.manifest.rows,
        data_digest=raw.manifest.digest,
        out=stage.out("reports/contracts/raw"),
        spark=stage.execution.spark,
        progress=stage.progress,
    )
    return f"{len(result.expectations)} expectations hold for {count(result.rows)} rows"
