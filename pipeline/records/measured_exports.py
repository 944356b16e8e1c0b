"""What the forms of a candidate take on one machine: size, time of a call, and how far they answer as they should."""

from __future__ import annotations

from pydantic import Field

from pipeline.records.record import Record
from pipeline.records.served_model import ServedFormat

EXPORTS_FILE = "exports.json"


class MeasuredExports(Record):
    """The model of this `digest`, as it was measured on `machine`; each form was compared on so many `rows`.

    `refused` says of each form that was asked for and is not there why; `problem` why nothing was measured, and
    `beyond` which bound of this machine (execution.yaml, `export`) is not held: both "" if there is no such thing.
    """

    digest: str
    machine: str
    rows: int = 0
    formats: tuple[ServedFormat, ...] = ()
    refused: dict[str, str] = Field(default_factory=dict)
    problem: str = ""
    beyond: str = ""

    @property
    def figures(self) -> dict[str, float]:
        """Every figure as a metric, by name: `saved_model.p95_ms.1` is that of a call with one row."""
        found: dict[str, float] = {}
        for form in self.formats:
            found[f"{form.name}.size_bytes"] = form.size_bytes
            if form.largest_difference is not None:
                found[f"{form.name}.largest_difference"] = form.largest_difference
            if form.agreement is not None:
                found[f"{form.name}.agreement"] = form.agreement
            for speed in form.speeds:
                found |= {f"{form.name}.p50_ms.{speed.rows}": speed.p50_ms}
                found |= {f"{form.name}.p95_ms.{speed.rows}": speed.p95_ms}
        return found
