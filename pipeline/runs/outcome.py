"""What came of a run: its verdict, registration and metrics, in whatever files dvc.yaml says that they are."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pipeline.graph import Graph, Role
from pipeline.records.metrics import MetricsReport
from pipeline.records.record import Record
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.storage.record_files import find_record, read_record

NO_VERDICT = "no stage of dvc.yaml makes a verdict, so nothing was judged"

RecordT = TypeVar("RecordT", bound=Record)


def verdict_of(folder: Path, graph: Graph) -> Verdict | None:
    """Return the verdict of a complete run; None if no stage makes one.

    Raises StorageError if there is none though a stage should have made it, DataError if it is damaged.
    """
    path = graph.find("verdict")
    return read_record(folder / path, Verdict) if path else None


def find_verdict(folder: Path, graph: Graph) -> Verdict | None:
    """Return the verdict; None if there is none, or none yet."""
    return _find(folder, graph, "verdict", Verdict)


def find_registration(folder: Path, graph: Graph) -> Registration | None:
    """Return what was published, or why nothing was; None if no stage has come so far."""
    return _find(folder, graph, "registration", Registration)


def metrics_of(folder: Path, graph: Graph) -> MetricsReport:
    """Return the candidate's metrics; raise UsageError if no stage makes them, StorageError if they are missing."""
    return read_record(folder / graph.artifact("metrics"), MetricsReport)


def _find(folder: Path, graph: Graph, role: Role, kind: type[RecordT]) -> RecordT | None:
    path = graph.find(role)
    return find_record(folder / path, kind) if path else None
