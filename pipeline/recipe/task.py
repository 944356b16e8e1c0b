"""What a task is: the metrics that it declares, and the verbs that evaluation, the gate and the page call.

A task is a file in `pipeline/evaluation/tasks/` with

    class Settings                     its settings in the recipe
    def check(settings, recipe)        refuses what can be known before any work; calls `check_bounds`
    class Task(pipeline.recipe.task.Task)

Airflow's environment imports it for its metrics and its check, without numpy: what is heavy is imported in functions.
It does so at every parse, so the values here are named tuples: to make a dataclass takes several times as long.
Shapes: labels are `[row] int32`, of a task whose target is a number `[row] float64`; answers are `[row, …] float32`,
whatever the model gives for a row.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pipeline.errors import UsageError, nearest
from pipeline.recipe.bounds import Off
from pipeline.recipe.recipe import RULE, TASK, Bounds, GateParams, Roles, slice_column
from pipeline.recipe.slots import Choice

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Labels = npt.NDArray[Any]
    Answers = npt.NDArray[np.floating[Any]]
    Scores = npt.NDArray[np.float64]

OVERFIT = "overfit"
OTHER = "(other)"  # the slice of a declared column's rare values


class Metric(NamedTuple):
    """A figure of a task: its name in files, its title and what it is in words, which values it has and are better.

    `unit` is "" for a plain number. `is_mean` says that it is a mean over rows, `is_share` that it is a share of rows.
    Messages show those `in_messages`.
    """

    name: str
    title: str
    words: str
    better: Literal["higher", "lower"]
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    is_mean: bool = False
    is_share: bool = False
    in_messages: bool = False

    @property
    def is_higher_better(self) -> bool:
        """Whether it is bounded from below."""
        return self.better == "higher"


class Plot(NamedTuple):
    """A drawing `reports/plots/<name>.svg`, in the page's part about mistakes or about curves."""

    name: str
    title: str
    words: str
    place: Literal["mistakes", "curves"] = "curves"


class Slices(NamedTuple):
    """How a column divides rows: the names of its values, and `number_of [row] int`, the number of each row's value."""

    names: tuple[str, ...]
    number_of: npt.NDArray[np.integer[Any]]


def rows_of(divided: Slices, value: str) -> npt.NDArray[np.bool_]:
    """Return which rows are in a slice, `[row] bool`; none, where no slice is called so."""
    number = divided.names.index(value) if value in divided.names else -1
    rows: npt.NDArray[np.bool_] = divided.number_of == number
    return rows


Declared = Mapping[str, Slices]  # by the column that the recipe declares
NOTHING_DECLARED: Declared = MappingProxyType({})


class Mistake(NamedTuple):
    """A row that the model got wrong: the truth, the answer, and a figure about it, all in words."""

    row: int
    truth: str
    answer: str
    figure: str


class Table(NamedTuple):
    """A table for people; the first `text_columns` columns hold text, the others figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    text_columns: int


class Mistakes(NamedTuple):
    """Where a model errs: a sentence that counts, the worst rows, what these are in words, and a table of patterns."""

    sentence: str
    worst: tuple[Mistake, ...]
    words: str
    table: Table | None = None


class RowValues:
    """Values by row of a part's metrics, each found when it is asked for. This one has none.

    The mean of a metric's values is the metric, so that limits can be found for it. Of a metric that is no mean over
    rows, each value is the metric plus the influence of the row.
    """

    def of(self, metric: str) -> Scores | None:  # noqa: ARG002 - for the tasks that have values
        """Return the values `[row]` of a metric; None if there are none."""
        return None

    def of_slice(self, column: str, value: str, metric: str) -> Scores | None:  # noqa: ARG002
        """Return those of a metric of a slice, over the rows that it speaks of, perhaps none; None as above."""
        return None


class Task(ABC):
    """A task with its settings in the recipe and the declared classes; none if the target is a number.

    `metrics` are measured on a whole part; the first, the primary one, must be bounded. `slice_metrics` are measured on
    the rows of one of the task's own slices, `declared_metrics` on those of one that the recipe declares
    (`data.roles.slices`). `score_title` is what the mean of `score` is called, `slice_score_title` what it is called
    over the rows of one of the task's own slices.
    """

    metrics: tuple[Metric, ...]
    slice_metrics: tuple[Metric, ...] = ()
    declared_metrics: tuple[Metric, ...] = ()
    plots: tuple[Plot, ...] = ()
    score_title: str
    slice_score_title: str = ""

    def __init__(self, settings: Any, classes: Sequence[str]) -> None:
        self.settings = settings
        self.classes = tuple(classes)
        self.learned: dict[str, float] = {}

    @property
    def name(self) -> str:
        """The name of its file, as in the recipe."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def choice(self) -> Choice:
        """Return the task as a recipe chooses it, its settings complete."""
        return Choice(name=self.name, settings=self.settings.model_dump(mode="json"))

    @property
    def learns(self) -> bool:
        """Whether something of how answers are measured is learned from the validation part."""
        return False

    def learn(self, labels: Labels, answers: Answers) -> dict[str, float]:  # noqa: ARG002
        """Return what is learned from a model's answers to the validation part, by the names of attributes."""
        return {}

    def with_learned(self, learned: Mapping[str, float]) -> Self:
        """Return the task as it measures with what was learned for a model."""
        other = copy.copy(self)
        other.learned = dict(learned)
        for name, value in learned.items():
            setattr(other, name, value)
        return other

    @property
    def scored_by(self) -> Metric:
        """The metric that is the mean of `score`, or of its opposites if it is better the lower: the primary one."""
        return self.metrics[0]

    @property
    def own_slices(self) -> tuple[str, ...]:
        """The columns that divide rows by the task itself, whatever the recipe declares."""
        return ()

    def metrics_of(self, column: str) -> tuple[Metric, ...]:
        """Return the metrics of each slice of a column."""
        return self.slice_metrics if column in self.own_slices else self.declared_metrics

    def score_title_of(self, column: str) -> str:
        """Return what the mean of `score` is called over the rows of a column's slice."""
        return self.slice_score_title if column in self.own_slices else self.score_title

    @abstractmethod
    def check_answers(self, labels: Labels, answers: Answers) -> None:
        """Raise DataError, with a clause that says why, unless the answers can be measured."""

    @abstractmethod
    def measure(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return every metric of `metrics` by its name."""

    @abstractmethod
    def score(self, labels: Labels, answers: Answers) -> Scores:
        """Return how good each answer is, `[row] float64`: higher is better.

        Where `scored_by` is a mean over rows, it is the mean of the scores; of their opposites, if it is better the
        lower.
        """

    def slices(self, labels: Labels, declared: Declared = NOTHING_DECLARED) -> dict[str, Slices]:  # noqa: ARG002
        """Return the columns by which rows are divided into slices: the task's own, then those that are declared."""
        return dict(declared)

    def measure_slices(
        self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Return every metric of `metrics_of(column)` by the slices' column, the slice and the metric's name."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for column, divided in declared.items():
            found[column] = {}
            for number, name in enumerate(divided.names):
                rows = divided.number_of == number
                found[column][name] = self.measure_some(labels[rows], answers[rows])
        return found

    def measure_some(self, labels: Labels, answers: Answers) -> dict[str, float]:  # noqa: ARG002
        """Return every metric of `declared_metrics` of some of a part's rows, one at least."""
        return {}

    def row_values(
        self,
        labels: Labels,  # noqa: ARG002
        answers: Answers,  # noqa: ARG002
        declared: Declared = NOTHING_DECLARED,  # noqa: ARG002
    ) -> RowValues:
        """Return the values by row of the metrics of a part, and of its slices."""
        return RowValues()

    def tables(self, labels: Labels, answers: Answers) -> dict[str, bytes]:  # noqa: ARG002
        """Return the CSV files behind `dvc plots show`, by file name. The rows are those of the validation part."""
        return {}

    def drawings(self, labels: Labels, answers: Answers) -> dict[str, bytes]:  # noqa: ARG002
        """Return the SVG file of each of `plots`, by file name. The rows are those of the validation part."""
        return {}

    def mistakes(self, ids: Sequence[str], labels: Labels, answers: Answers, count: int) -> Mistakes | None:  # noqa: ARG002
        """Return where the model errs, with at most `count` rows; None if the task cannot say.

        The rows are those of the validation part, and its words say so: whoever looks at test rows tunes to them.
        """
        return None


def task_of(choice: Choice, classes: Sequence[str]) -> Task:
    """Return the task that a recipe chooses; raise UsageError if there is no such file."""
    task: Task = kind_of(choice.name)(TASK.settings(choice, "task"), classes)
    return task


def kind_of(name: str) -> type[Task]:
    """Return the class of a task by its name; raise UsageError if there is no such file, or it is no task."""
    kind = getattr(TASK.member(name), "Task", None)
    if not (isinstance(kind, type) and issubclass(kind, Task)) or kind is Task:
        raise UsageError(f"{TASK.folder}/{name}.py: has no class Task(pipeline.recipe.task.Task)")
    return kind


def overfit_of(primary: Metric) -> Metric:
    """Return the metric that every task has: how far the primary one is worse on the test part than on training."""
    span = primary.high - primary.low
    return Metric(
        name=OVERFIT,
        title=OVERFIT,
        words=f"how much better the {primary.title} is on the training part than on the test part",
        better="lower",
        low=-span,
        high=span,
        unit=primary.unit,
    )


def bounded_metrics(kind: type[Task]) -> dict[str, Metric]:
    """Return the metrics of the test part that the gate bounds, by name: those of the task, and `overfit`."""
    return {metric.name: metric for metric in (*kind.metrics, overfit_of(kind.metrics[0]))}


def declared_columns(roles: Roles) -> tuple[str, ...]:
    """Return what the columns that a recipe declares as slices are called in metrics, in the gate and on the page."""
    return tuple(slice_column(name).removeprefix(slice_column("")) for name in roles.slices)


def check_bounds(
    kind: type[Task], slices: Mapping[str, Sequence[str]], gate: GateParams, declared: Sequence[str] = ()
) -> None:
    """Raise UsageError for bounds of the gate that cannot hold: `slices` are the values of each column that slices.

    A name must be a declared metric's and a bound within its range, on the side that can be failed. The primary metric
    must be bounded: no default lets a candidate pass. `declared` are columns that the recipe declares as slices, whose
    values nobody knows before the data are read.
    """
    for column in declared:
        if column in slices:
            raise UsageError(f"data.roles.slices: rows are divided by '{column}' already; rename the column")
    primary = kind.metrics[0]
    _check("", gate, bounded_metrics(kind))
    side, bounds = ("minimum", gate.minimum) if primary.is_higher_better else ("maximum", gate.maximum)
    if primary.name not in bounds:
        raise UsageError(f"gate.{side}: '{primary.name}' is missing: without a bound on it any candidate would pass")
    _require_slices("gate.slices", gate.slices, slices, declared)
    for column, by_value in gate.slices.items():
        of_slice = {metric.name: metric for metric in (kind.slice_metrics, kind.declared_metrics)[column in declared]}
        for value, bounds_of_slice in by_value.items():
            _check(f".slices.{column}.{value}", bounds_of_slice, of_slice)
    named = getattr(RULE.settings(gate.rule, "gate.rule"), "named_slices", {})
    for key, by_column in named.items():
        _require_slices(f"gate.rule.settings.{key}", by_column, slices, declared)


def _require_slices(
    key: str,
    named: Mapping[str, Mapping[str, object]],
    slices: Mapping[str, Sequence[str]],
    declared: Sequence[str],
) -> None:
    for column, by_value in named.items():
        if column in declared:
            continue
        if column not in slices:
            near = nearest(column, [*slices, *declared])
            raise UsageError(f"{key}: no column '{column:.80}' divides the rows{near}")
        for value in by_value:
            if value not in slices[column]:
                raise UsageError(f"{key}.{column}: no {column} '{value:.80}'{nearest(value, slices[column])}")


def _check(below: str, bounds: Bounds, metrics: Mapping[str, Metric]) -> None:
    where = f"gate{below}"
    for side, other, given in (("minimum", "maximum", bounds.minimum), ("maximum", "minimum", bounds.maximum)):
        for name, bound in given.items():
            if name not in metrics:
                raise UsageError(f"{where}.{side}: no metric '{name:.80}' of this task{nearest(name, metrics)}")
            metric = metrics[name]
            if metric.is_higher_better != (side == "minimum"):
                raise UsageError(f"{where}.{side}.{name}: is better the {metric.better}: bound it in {where}.{other}")
            if isinstance(bound, Off):
                continue
            if not metric.low <= bound <= metric.high:
                raise UsageError(f"{where}.{side}.{name}: {bound:g} is not within {metric.low:g} and {metric.high:g}")
            if bound == (metric.low if side == "minimum" else metric.high):
                beyond = "below" if side == "minimum" else "above"
                raise UsageError(
                    f"{where}.{side}.{name}: nothing is {beyond} {bound:g}, so any candidate would pass; "
                    'to check nothing, write {none: "reason"}'
                )
