"""A run: what was requested, its record (`runs/<run id>/record.json`) and its stages (`reports/run.json`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pipeline.recipe.settings import Settings
from pipeline.records.record import Record

Driver = Literal["airflow", "ratchet"]
State = Literal["running", "success", "failed"]
RunOutcome = Literal["promote", "refuse", "rejected", "unchanged"]
RUN_REPORT_FILE = "reports/run.json"
PAGE_FILE = "reports/index.html"  # the same for people
RUNS = "runs"  # the folder of all runs


class RunRequest(Settings):
    """What is requested of a run that is driven in steps. `overrides` are values by dotted key, as in the recipe.

    `as_of` (a date, `2026-11-22`) selects the data if the source keeps dated snapshots; otherwise the record says so.
    """

    id: str = Field(max_length=200)
    driver: Driver = "airflow"
    config: str = Field(default="", max_length=500)
    overrides: dict[str, Any] = Field(default_factory=dict)
    reason: str = Field(default="", max_length=2000)
    asked_by: str = Field(default="", max_length=200)
    is_forced: bool = False
    as_of: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")


class RunRecord(Record):
    """What is known of one run.

    `outcome` is the verdict, or `rejected` if a person declined a passing verdict, or `unchanged` if there was nothing
    to do. `sentence` says why. `same_as` is the earlier run whose result an unchanged one found.
    """

    id: str
    driver: Driver
    state: State
    start: str  # ISO 8601, UTC
    outcome: RunOutcome | None = None
    end: str | None = None
    sentence: str = ""
    config: str = ""
    overrides: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""
    asked_by: str = ""
    is_forced: bool = False
    same_as: str | None = None
    pid: int | None = None

    @property
    def folder(self) -> str:
        """The run's folder, relative to the project."""
        return f"{RUNS}/{self.id}"


class StageRun(Record):
    """What happened in one stage of a run: how it ended, in words, and its readings."""

    name: str
    what: str = ""
    seconds: float | None = None
    outcome: str = ""
    peak_memory_mib: float | None = None  # of the stage's own process
    peak_memory_of_children_mib: float | None = None  # of the largest of its child processes
    out_of_memory: float | None = None  # 1 if the stage ran out of memory


class RunReport(Record):
    """Who requested what, and what happened in each stage.

    `commit` is what git names, `is_dirty` whether the run's files differ from it, `photograph` the digest of what the
    run was made from; None: not known.
    """

    driver: str = ""
    id: str = ""
    config: str = ""
    overrides: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""
    asked_by: str = ""
    started_at: str = ""  # ISO 8601, UTC
    finished_at: str = ""
    commit: str | None = None
    is_dirty: bool | None = None
    photograph: str | None = None
    stages: tuple[StageRun, ...] = ()

    @property
    def failed(self) -> StageRun | None:
        """The stage at which the run stopped, if it did."""
        return next((stage for stage in self.stages if stage.outcome == "failed"), None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as it stands in its file, leaving out readings that are None."""
        stages = [
            stage.model_dump(mode="json", exclude_none=True) | {"seconds": stage.seconds} for stage in self.stages
        ]
        return {**super().to_json(), "stages": stages}
