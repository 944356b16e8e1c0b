"""What came of a run: its verdict, registration and metrics, in whatever files dvc.yaml says that they are."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pipeline.errors import DataError
from pipeline.graph import Graph, Role
from pipeline.records.metrics import MetricsReport
from pipeline.records.record import Record
from pipeline.records.registration import Registration
from pipeline.records.training_history import HISTORY_FILE, TRAINING_FILE, Training, parse_history
from pipeline.records.verdict import Verdict
from pipeline.storage.artifacts import read_text
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


def stopped_after(folder: Path, graph: Graph, stage: str) -> str:
    """Return in words how far a run came that was to stop after a stage, and how good its candidate is if it has one.

    The figures are those of the validation part, at the epoch that was chosen: the test part is for the verdict alone.
    """
    sentence, maker = f"stopped after {stage}, as asked", graph.maker("candidate")
    if maker is None or not graph.needs(stage, maker.name):
        return sentence
    candidate = folder / graph.artifact("candidate")
    epoch, figures = validation_figures(
        candidate / HISTORY_FILE, candidate / TRAINING_FILE, f"{graph.artifact('candidate')}/{HISTORY_FILE}"
    )
    words = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
    return f"{sentence}: on the validation part, at epoch {epoch}: {words}"


def validation_figures(history: Path, training: Path, where: str) -> tuple[int, dict[str, float]]:
    """Return the epoch that was chosen, and its figures on the validation part, from what training has written.

    `where` names the history in an error: in DVC's cache its path would tell nobody. Raises StorageError if
    one of the files cannot be read, DataError if it is damaged.
    """
    best = read_record(training, Training).best_epoch
    epochs = parse_history(read_text(history), where)
    figures = next((epoch.validation for epoch in epochs if epoch.epoch == best), None)
    if figures is None:
        raise DataError(f"{where}: has no epoch {best}, which {TRAINING_FILE} says was chosen; run train again")
    return best, figures


def _find(folder: Path, graph: Graph, role: Role, kind: type[RecordT]) -> RecordT | None:
    path = graph.find(role)
    return find_record(folder / path, kind) if path else None
