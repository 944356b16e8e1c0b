"""`reports/metrics.json`: how good the candidate's predictions are."""

from __future__ import annotations

from pipeline.records.record import Record

METRICS_FILE = "reports/metrics.json"


class Metrics(Record):
    """The metrics of one part of the data: fractions except `rows`, `cross_entropy` (nats per row), `mcc` (-1 to 1)."""

    rows: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    auc: float
    mcc: float
    cross_entropy: float
    calibration_error: float


class ClassMetrics(Record):
    """The metrics of one class: its rows, and how well they are separated from all others."""

    rows: int
    precision: float
    recall: float
    f1: float
    auc: float


class MetricsReport(Record):
    """Both parts, each class of the test part, and `overfit`: training accuracy less test accuracy."""

    test: Metrics
    train: Metrics
    overfit: float
    classes: dict[str, ClassMetrics]

    @property
    def test_figures(self) -> dict[str, float]:
        """The metrics that the gate bounds, by name: those of the test part, and `overfit`."""
        return {**self.test.model_dump(), "overfit": self.overfit}
