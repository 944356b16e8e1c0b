"""The files of a run as its stages write them, made by the records themselves."""

from __future__ import annotations

from typing import Any

from pipeline.records.identity import Identity
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.records.metrics import MetricsReport
from pipeline.records.registration import Registration
from pipeline.records.verdict import GateCheck, Verdict

FIGURES = {
    "rows": 2000,
    "accuracy": 0.893456,
    "macro_precision": 0.9,
    "macro_recall": 0.87,
    "macro_f1": 0.88,
    "auc": 0.99,
    "mcc": 0.86,
    "cross_entropy": 0.3,
    "calibration_error": 0.02,
}


def manifest(rows: int) -> dict[str, Any]:
    """Return the `manifest.json` of a data set of one file."""
    entry = FileEntry(path="part-00000.parquet", rows=rows, size_bytes=rows, digest=f"sha256:{rows}")
    return Manifest(rows=rows, files=(entry,), columns={"id": "string"}).to_json()


def metrics() -> dict[str, Any]:
    """Return `metrics.json`."""
    return MetricsReport(
        task="classification", primary="accuracy", test=FIGURES, train=FIGURES, overfit=0.01, slices={}
    ).to_json()


def verdict(outcome: str, reason: str = "why") -> dict[str, Any]:
    """Return `verdict.json` with one check, which decides."""
    passes = "pass" if outcome == "promote" else "fail"
    check = GateCheck(name="minimum.accuracy", figure=0.8, bound=0.8, outcome=passes, sentence=reason)
    return Verdict.of([check], reason, "sha256:c", None).to_json()


def registration(outcome: str, sentence: str = "v3 is champion", version: int = 3) -> dict[str, Any]:
    """Return `registration.json`; the version is champion if it was promoted."""
    champion = Identity(name="one", version=version, digest="sha256:c") if outcome == "promoted" else None
    return Registration(
        outcome=outcome, name="one", version=version, champion=champion, sentence=sentence, registry="local"
    ).to_json()
