"""What differs between two runs: recipe, files, data, figures, verdicts and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, TypeVar

from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.task import Metric, bounded_metrics
from pipeline.report.measured import known_kind
from pipeline.runs.evidence import Evidence
from pipeline.runs.photograph import Reference

ValueT = TypeVar("ValueT")
_CODE = "pipeline/"


@dataclass(frozen=True)
class Pair(Generic[ValueT]):
    """A value of each run; None: there it has none."""

    a: ValueT | None
    b: ValueT | None


@dataclass(frozen=True)
class FileChange:
    """A file of the photographs that is not the same in both. `change`: changed, only in A, only in B."""

    path: str
    change: str
    is_code: bool


@dataclass(frozen=True)
class FigureChange:
    """A figure side by side. `difference` is B's less A's; `b_is` better, worse, the same, or "" where unknown."""

    name: str
    title: str
    a: float | None
    b: float | None
    difference: float | None
    b_is: str
    unit: str


@dataclass(frozen=True)
class Comparison:
    """What differs between the runs A and B. `unknown` says what could not be compared, and why."""

    recipe: Mapping[str, Pair[Any]] = field(default_factory=dict)
    files: tuple[FileChange, ...] = ()
    references: Mapping[str, Pair[Reference]] = field(default_factory=dict)
    figures: tuple[FigureChange, ...] = ()
    parts: Pair[str] = field(default_factory=lambda: Pair(None, None))  # of the data, that the figures are of
    verdicts: Pair[str] = field(default_factory=lambda: Pair(None, None))
    seconds: Mapping[str, Pair[float]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing that was compared differs. Times always do, and do not count."""
        figures_differ = any(figure.a != figure.b for figure in self.figures)
        verdicts_differ = self.verdicts.a != self.verdicts.b
        return not (self.recipe or self.files or self.references or figures_differ or verdicts_differ)

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"is_same": self.is_same, **asdict(self)}


def compare(a: Evidence, b: Evidence) -> Comparison:
    """Compare what two runs have left."""
    unknown = [
        f"{name}: {problem}" for name, one in (("A", a), ("B", b)) for problem in (*one.problems, *_missing(one))
    ]
    recipe = _recipe(a, b)
    part = Pair(a.figures.part if a.figures else None, b.figures.part if b.figures else None)
    is_one_part = part.a is None or part.b is None or part.a == part.b
    if not is_one_part:
        unknown.append(f"figures of A are of the {part.a} part, those of B of the {part.b} part: not comparable")
    return Comparison(
        recipe=recipe,
        files=_files(a, b, is_recipe_same=not recipe),
        references=_references(a, b),
        figures=_figures(a, b) if is_one_part else (),
        parts=part,
        verdicts=Pair(_verdict(a), _verdict(b)),
        seconds=_seconds(a, b),
        unknown=tuple(unknown),
    )


def metrics_of_task(name: str) -> dict[str, Metric]:
    """Return the metrics that a task declares, in its order; none of a task that is not known."""
    kind = known_kind(name)
    return bounded_metrics(kind) if kind else {}


def _missing(one: Evidence) -> list[str]:
    return [
        said
        for said, is_missing in (
            ("has no params.yaml: the recipes are not compared", one.recipe is None and not one.problems),
            ("has no photograph: files and data are not compared", one.record.photograph is None),
        )
        if is_missing
    ]


def _recipe(a: Evidence, b: Evidence) -> dict[str, Pair[Any]]:
    if a.recipe is None or b.recipe is None:
        return {}
    return _different(a.recipe, b.recipe)


def _different(a: Mapping[str, ValueT], b: Mapping[str, ValueT]) -> dict[str, Pair[ValueT]]:
    """Return what is not the same, or has not the same type (1 and true), in the order of A, then of B."""
    pairs = {key: Pair(a.get(key), b.get(key)) for key in (*a, *(key for key in b if key not in a))}
    return {key: pair for key, pair in pairs.items() if key not in a or key not in b or not _is_same(pair)}


def _is_same(pair: Pair[Any]) -> bool:
    return bool(pair.a == pair.b) and repr(pair.a) == repr(pair.b)


def _files(a: Evidence, b: Evidence, *, is_recipe_same: bool) -> tuple[FileChange, ...]:
    if a.photograph is None or b.photograph is None:
        return ()
    first, second = a.photograph.files, b.photograph.files
    said = set() if is_recipe_same else {PARAMS_FILE}  # what differs in it is said by its keys
    changes = []
    for path in sorted({*first, *second} - said):
        if first.get(path) != second.get(path):
            change = "changed" if path in first and path in second else f"only in {'A' if path in first else 'B'}"
            changes.append(FileChange(path, change, path.startswith(_CODE)))
    return tuple(changes)


def _references(a: Evidence, b: Evidence) -> dict[str, Pair[Reference]]:
    if a.photograph is None or b.photograph is None:
        return {}
    return _different(a.photograph.references, b.photograph.references)


def _figures(a: Evidence, b: Evidence) -> tuple[FigureChange, ...]:
    first, second = (one.figures.values if one.figures else {} for one in (a, b))
    declared = metrics_of_task(next((one.figures.task for one in (a, b) if one.figures), ""))
    names = [name for name in declared if name in first or name in second]
    names += [name for name in dict.fromkeys((*first, *second)) if name not in declared]
    units = {name: unit for one in (a, b) if one.figures for name, unit in one.figures.units.items()}
    found = (_figure(name, declared.get(name), first.get(name), second.get(name)) for name in names)
    return tuple(replace(change, unit=units.get(change.name, change.unit)) for change in found)


def _figure(name: str, metric: Metric | None, a: float | None, b: float | None) -> FigureChange:
    difference = b - a if a is not None and b is not None else None
    b_is = ""
    if difference == 0:
        b_is = "same"
    elif difference is not None and metric is not None:
        b_is = "better" if (difference > 0) == metric.is_higher_better else "worse"
    title = metric.title if metric else name.replace("_", " ")
    return FigureChange(name, title, a, b, difference, b_is, metric.unit if metric else "")


def _verdict(one: Evidence) -> str | None:
    return f"{one.verdict.outcome}: {one.verdict.reason}" if one.verdict else None


def _seconds(a: Evidence, b: Evidence) -> dict[str, Pair[float]]:
    first, second = (
        {stage.name: stage.seconds for stage in (one.report.stages if one.report else ()) if stage.seconds is not None}
        for one in (a, b)
    )
    return {name: Pair(first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second))}
