"""A run: what was requested, its record (`runs/<run id>/record.json`) and its stages (`reports/run.json`)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.recipe.settings import Settings
from pipeline.records.record import Record

Driver = Literal["airflow", "ratchet"]
State = Literal["running", "success", "failed"]
RunOutcome = Literal["promote", "refuse", "rejected", "unchanged"]
RUN_REPORT_FILE = "reports/run.json"
PAGE_FILE = "reports/index.html"  # the same for people
# In the project's folder, whatever workspace a run was in: all registered versions over time. It is one HTML file that
# loads and runs nothing; its links to kept reports are relative: `../runs/<id>/reports/index.html`.
CHAMPIONS_FILE = "reports/champions.html"
RUNS = "runs"  # the folder of all runs
RECORD_FILE = "record.json"  # in the folder of each attempt
ATTEMPTS = "attempts"  # in a run's folder: its second attempt and later ones, by number


class RunRequest(Settings):
    """What is requested of a run that is driven in steps. `overrides` are values by dotted key, as in the recipe.

    `as_of` (a date, `2026-11-22`) selects the data if the source keeps dated snapshots; otherwise the record says so.
    `until` is the last stage to run, if not all are. `dag_id` and `dag_run_id` are Airflow's names of the run, and
    `address` is its page there.
    """

    id: str = Field(max_length=200)
    driver: Driver = "airflow"
    config: str = Field(default="", max_length=500)
    overrides: dict[str, Any] = Field(default_factory=dict)
    reason: str = Field(default="", max_length=2000)
    asked_by: str = Field(default="", max_length=200)
    is_forced: bool = False
    as_of: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    until: str | None = Field(default=None, max_length=200)
    dag_id: str = Field(default="", max_length=250)
    dag_run_id: str = Field(default="", max_length=250)
    address: str = Field(default="", max_length=1000)


class RunRecord(Record):
    """What is known of one attempt at a run: a run that is over and is opened again gets another attempt.

    `outcome` is the verdict, or `rejected` if a person declined a passing verdict, or `unchanged` if there was nothing
    to do. `sentence` says why. `same_as` is the earlier run whose result an unchanged one found. `photograph` is the
    digest of what the run began with, `inputs` the digest of what of it decides the result; `commit` and `is_dirty` are
    what git said of it (`is_dirty` None: unknown). `until`: the stage after which the run stops, as asked. `repeats`:
    the run whose photograph it began with. Version 1 had none of these. `device` is what trains, as the recipe says, or
    as `auto` in it was resolved when the run opened; None, as in version 2: not known.
    """

    VERSION: ClassVar[int] = 3
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
    attempt: int = 1
    photograph: str | None = None
    inputs: str | None = None
    commit: str | None = None
    is_dirty: bool | None = None
    until: str | None = None
    repeats: str | None = None
    device: Literal["cpu", "gpu"] | None = None
    dag_id: str = ""
    dag_run_id: str = ""
    address: str = ""

    @property
    def folder(self) -> str:
        """The folder of this attempt's evidence, relative to the project."""
        return f"{RUNS}/{self.id}" if self.attempt == 1 else f"{RUNS}/{self.id}/{ATTEMPTS}/{self.attempt}"


class Span(Record):
    """When something was, in seconds since the run's start, and how long it took."""

    what: str
    began_s: float = Field(ge=0)
    seconds: float = Field(ge=0)


class StageRun(Record):
    """What happened in one stage of a run: how it ended, in words, when, and its readings.

    Of its `seconds`, `startup_seconds` went into starting things (`starts`, which may overlap): its process, imports of
    heavy libraries, Spark, workers. A stage that did not run in this attempt has no beginning. `earlier`: the tries
    before this one, by how they ended.
    """

    name: str
    what: str = ""
    began_s: float | None = Field(default=None, ge=0)  # since the run's start
    seconds: float | None = None
    startup_seconds: float | None = Field(default=None, ge=0)
    starts: tuple[Span, ...] | None = None
    earlier: tuple[Span, ...] | None = None
    outcome: str = ""
    peak_memory_mib: float | None = None  # of the stage's own process
    peak_memory_of_children_mib: float | None = None  # of the largest of its child processes
    peak_memory_of_jvm_mib: float | None = None  # of Spark's
    peak_memory_of_workers_mib: float | None = None  # of the largest of Spark's Python workers
    out_of_memory: float | None = None  # 1 if the stage ran out of memory


class RunReport(Record):
    """Who requested what, and what happened in each stage.

    Of the run's `seconds`, `startup_seconds` went into starting things while no stage worked, `work_seconds` into work,
    and in `waiting_seconds` no stage ran.

    Version 1 said nothing of attempt, photograph and commit; version 2 nothing of the memory of Spark's processes;
    version 3 nothing of when a stage began, and of start-up.
    """

    VERSION: ClassVar[int] = 4
    driver: str = ""
    id: str = ""
    config: str = ""
    overrides: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""
    asked_by: str = ""
    attempt: int = 1
    photograph: str | None = None
    commit: str | None = None
    is_dirty: bool | None = None
    started_at: str = ""  # ISO 8601, UTC
    finished_at: str = ""
    seconds: float | None = Field(default=None, ge=0)
    startup_seconds: float | None = Field(default=None, ge=0)
    work_seconds: float | None = Field(default=None, ge=0)
    waiting_seconds: float | None = Field(default=None, ge=0)
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
