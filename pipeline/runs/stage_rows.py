"""The state of each stage of a run, updated by the stage's events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pipeline.runtime.progress import count


@dataclass
class StageRow:
    """The state of one stage: `state` is one of waiting, running, done, cached, unchanged, failed."""

    name: str
    state: str = "waiting"
    what: str = ""
    done: int = 0
    total: int = 0
    started_s: float | None = None
    seconds: float | None = None
    readings: dict[str, float] = field(default_factory=dict)


def apply_event(row: StageRow, event: dict[str, Any]) -> None:
    """Update a row with one event of its stage (see `pipeline.runtime.progress`)."""
    kind = event["event"]
    if kind == "begin":
        row.state, row.started_s, row.what, row.total = "running", event["at_s"], "starting", 0
    elif kind == "step":
        row.what, row.total = event["what"], 0
    elif kind == "advance":
        row.done, row.total = event["done"], event["total"]
        done = f"{count(row.done)} of {count(row.total)} {event['unit']}"
        row.what = "  ".join(filter(None, (done, event["note"])))
    elif kind in ("finish", "fail"):
        row.state, row.what, row.total = ("done" if kind == "finish" else "failed"), event["summary"], 0
        row.seconds = event["at_s"] - row.started_s if row.started_s is not None else None
        row.readings = {key: value for key, value in event.items() if key.startswith("peak_")}
