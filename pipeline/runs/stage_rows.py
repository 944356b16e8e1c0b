"""The state of each stage of a run, updated by the stage's events."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pipeline.runtime.progress import progress_of

_PROCESS = "its process"


@dataclass
class Interval:
    """What took from when to when, seconds since the epoch; `ended_s` is None until it has ended."""

    what: str
    began_s: float
    ended_s: float | None = None


@dataclass
class StageRow:
    """The state of one stage: `state` is one of waiting, running, done, cached, unchanged, failed.

    `starts` are its start-ups, which may overlap; `earlier` are the times when it ran before, in words how that ended.
    """

    name: str
    state: str = "waiting"
    what: str = ""
    done: int = 0
    total: int = 0
    started_s: float | None = None
    seconds: float | None = None
    readings: dict[str, float] = field(default_factory=dict)
    starts: list[Interval] = field(default_factory=list)
    earlier: list[Interval] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build a row from what `to_json` has returned, in this version or an earlier one."""
        kept = {key: [Interval(**each) for each in value.get(key, [])] for key in ("starts", "earlier")}
        return cls(**{**value, **kept})

    def to_json(self) -> dict[str, Any]:
        """Return the row for a file."""
        return asdict(self)

    @property
    def when(self) -> Interval | None:
        """When the stage ran, with the word for how it ended; None if it has not."""
        if self.started_s is None or self.seconds is None:
            return None
        return Interval(self.state, self.started_s, self.started_s + self.seconds)

    def again(self) -> StageRow:
        """Return the row for another try: of this one it only knows when it was."""
        return StageRow(self.name, earlier=[*self.earlier, *filter(None, [self.when])])

    def begin(self, at_s: float) -> None:
        """Note that the stage begins; what was known of an earlier try is forgotten but for when it was."""
        self.earlier = self.again().earlier
        self.state, self.what, self.done, self.total = "running", "starting", 0, 0
        self.started_s, self.seconds, self.starts, self.readings = at_s, None, [], {}

    def end_start(self, what: str, at_s: float) -> None:
        """Note that something has been started, if it was being started."""
        for start in self.starts:
            if start.what == what and start.ended_s is None:
                start.ended_s = at_s

    def end(self, state: str, what: str, at_s: float) -> None:
        """Note that the stage has ended, and with it whatever it was starting."""
        self.state, self.what, self.total = state, what, 0
        if self.started_s is not None:
            self.seconds = max(0.0, at_s - self.started_s)
        for start in self.starts:
            self.end_start(start.what, at_s)


def apply_event(row: StageRow, event: dict[str, Any]) -> None:
    """Update a row with one event of its stage (see `pipeline.runtime.progress`)."""
    kind = event["event"]
    if kind == "begin":
        # DVC may have said before that it starts the stage: what lies between is the start of its process.
        said_s = row.started_s if row.state == "running" and row.started_s is not None else event["at_s"]
        began_s = min(said_s, event["at_s"])
        row.begin(began_s)
        if "ready_s" in event:  # not from the code of an earlier photograph
            row.starts.append(Interval(_PROCESS, began_s, event["ready_s"]))
    elif kind == "starting":
        row.what, row.total = f"starting {event['what']}", 0
        row.starts.append(Interval(event["what"], event["at_s"]))
    elif kind == "started":
        row.end_start(event["what"], event["at_s"])
    elif kind == "step":
        row.what, row.total = event["what"], 0
    elif kind == "advance":
        row.done, row.total = event["done"], event["total"] or 0
        told = progress_of(event["done"], event["total"], event["unit"])
        row.what = "  ".join(filter(None, (told, event["note"])))
    elif kind in ("finish", "fail"):
        row.end("done" if kind == "finish" else "failed", event["summary"], event["at_s"])
        row.readings = {key: value for key, value in event.items() if key.startswith("peak_")}
