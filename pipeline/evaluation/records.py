"""The JSON files of a run as the page reads them: typed, and tolerant of what later versions may add.

Each is one file under `reports/`. A file that is missing or is not what it should be becomes a `Part` that says so:
the page shows what there is, whatever has gone wrong before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.artifacts import read_json
from pipeline.errors import RatchetError
from pipeline.evaluation.metrics import ClassMetrics, Metrics

T = TypeVar("T")
_PASSED = {"pass", "passed", "success", "ok"}


@dataclass(frozen=True)
class Part(Generic[T]):
    """Something the page shows: its value, or why there is none (`problem` is "" where it was never made)."""

    value: T | None
    problem: str = ""

    def __bool__(self) -> bool:
        return self.value is not None


class Record(BaseModel):
    """Base of all records: frozen; keys it does not know are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Identity(Record):
    """A version in the registry."""

    name: str
    version: int | str
    digest: str


class Check(Record):
    """One check of the gate: its figure, its bound, what came of it."""

    name: str
    figure: Any = None
    bound: Any = None
    outcome: str
    sentence: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether the candidate passed it."""
        return self.outcome in _PASSED


class Verdict(Record):
    """`verdict.json`."""

    outcome: str
    reason: str
    checks: tuple[Check, ...] = ()
    candidate: str | None = None
    champion: Identity | None = None

    @property
    def in_order_of_interest(self) -> list[Check]:
        """The checks, those that failed first."""
        return sorted(self.checks, key=lambda check: check.has_passed)


class Registration(Record):
    """`registration.json`."""

    outcome: str
    name: str = ""
    version: int | str | None = None
    champion: Identity | None = None
    sentence: str = ""
    registry: Any = None


class Measured(Record):
    """`metrics.json`."""

    test: Metrics
    train: Metrics
    overfit: float
    classes: dict[str, ClassMetrics]


class Expectation(Record):
    """One expectation of a contract and what came of it."""

    type: str
    column: str | tuple[str, ...] | None = None  # several where it is about their combination
    kwargs: dict[str, Any] = Field(default_factory=dict)
    outcome: str | bool
    observed: Any = None
    unexpected_rows: int | None = None
    offending_ids: tuple[Any, ...] | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    error: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether it holds."""
        return self.outcome is True or self.outcome in _PASSED

    @property
    def where(self) -> str:
        """The column it is about, the columns, or the table."""
        return self.column or "table" if not isinstance(self.column, tuple) else ", ".join(self.column)

    @property
    def words(self) -> str:
        """The expectation's type as words: `column values to not be null`."""
        return self.type.removeprefix("expect_").replace("_", " ")


class Contract(Record):
    """`contracts/<suite>/result.json`."""

    suite: str
    rows: int | None = None
    outcome: str | bool
    expectations: tuple[Expectation, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether the contract holds."""
        return self.outcome is True or self.outcome in _PASSED

    @property
    def failed(self) -> list[Expectation]:
        """The expectations that do not hold."""
        return [expectation for expectation in self.expectations if not expectation.has_passed]

    @property
    def passed(self) -> list[Expectation]:
        """The expectations that hold."""
        return [expectation for expectation in self.expectations if expectation.has_passed]


class StageRun(Record):
    """What happened in one stage of a run."""

    name: str
    what: str = ""
    seconds: float | None = None
    outcome: str = ""


class Run(Record):
    """`run.json`."""

    started_at: str = ""
    finished_at: str = ""
    driver: str = ""
    id: str = ""
    config: str = ""
    reason: str = ""
    asked_by: str = ""
    overrides: dict[str, Any] = Field(default_factory=dict)
    stages: tuple[StageRun, ...] = ()

    @property
    def failed(self) -> StageRun | None:
        """The stage at which the run stopped, if it did."""
        return next((stage for stage in self.stages if stage.outcome in {"failed", "fail", "error"}), None)


RecordT = TypeVar("RecordT", bound=Record)


def read_record(path: Path, kind: type[RecordT]) -> Part[RecordT]:
    """Read a record; what is wrong with a file that cannot be used is said in the part."""
    if not path.is_file():
        return Part(None)
    try:
        return Part(kind.model_validate(read_json(path)))
    except RatchetError as error:
        return Part(None, str(error).replace(str(path), path.name))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        return Part(None, f"{path.name}: {where}: {problem['msg']}")
