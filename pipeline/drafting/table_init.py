"""`ratchet init` for tables and texts: all rows are counted, taken through the stages, and written down as drafts."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from pipeline.data.cleaning import CONFLICT, DUPLICATE
from pipeline.data.opening import open_source
from pipeline.data.wanted import Wanted, WantedFeature, wanted
from pipeline.drafting import choosing, judging, table_choosing
from pipeline.drafting.columns import Column, count_columns
from pipeline.drafting.config import Draft, suite_text
from pipeline.drafting.looking import Looking
from pipeline.drafting.measuring import Cleaned, Measuring, Table, write_raw
from pipeline.drafting.recognising import Recognised
from pipeline.drafting.summary import counted, in_brackets
from pipeline.drafting.table_choosing import TableChoice
from pipeline.drafting.table_suites import prepared_table_suite, raw_table_suite
from pipeline.drafting.writing import Request
from pipeline.errors import DataError, UsageError, shortened
from pipeline.recipe.recipe import SOURCE, AugmentParams, EqualRows, IngestParams, Roles
from pipeline.recipe.slots import Choice, Feature
from pipeline.runtime.progress import count
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import read_labels

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.recipe import Recipe
    from pipeline.runtime.progress import Progress

_KEPT = EqualRows(duplicates="keep", conflicts="keep")
_NO_COPIES = AugmentParams(copies=0)
_SHOWN = 12  # columns that are named


@dataclass(frozen=True)
class Read:
    """What all rows are: the source as the recipe is to say it, and what its columns are to be."""

    choice: Choice
    chosen: TableChoice
    columns: Mapping[str, tuple[str, Column]]  # by feature: its kind, and what its column holds
    rows: int
    parts: Mapping[str, int]
    problems: Mapping[str, int]
    labels: Mapping[str, int]  # rows by class
    unlabelled: int

    @property
    def features(self) -> dict[str, Feature]:
        """The features of the recipe."""
        return {name: Feature.model_validate(each) for name, each in self.chosen.features.items()}

    @property
    def roles(self) -> Roles:
        """The roles of the recipe."""
        return Roles(id=self.chosen.id)


@dataclass(frozen=True)
class Measured:
    """What the stages make of the rows."""

    split: choosing.Chosen
    cleaned: Cleaned
    parts: Mapping[str, Mapping[str, int]]
    raw: Table
    prepared: Table
    gate: tuple[Any, str, str]
    frozen: bytes | None


def is_of_tables(choice: Choice) -> bool:
    """Return whether a source delivers the columns of a table, or documents."""
    member = SOURCE.member(choice.name)
    return hasattr(member, "KINDS") or list(getattr(member, "FEATURES", {}).values()) == ["text"]


def read(request: Request, recognised: Recognised, progress: Progress) -> Read:
    """Count all rows, and choose what the columns are to be."""
    choice = recognised.choice
    if hasattr(SOURCE.member(choice.name), "KINDS"):
        return _read_table(request, choice, IngestParams(snapshots=bool(recognised.snapshot)), progress)
    if request.target is not None:
        raise UsageError(f"--target: source {choice.name} delivers documents, whose folders are classes; leave it out")
    return _read_documents(request, choice, IngestParams(snapshots=bool(recognised.snapshot)), progress)


def _read_table(request: Request, choice: Choice, ingest: IngestParams, progress: Progress) -> Read:
    member, settings = SOURCE.member(choice.name), SOURCE.settings(choice, "data.source")
    if not hasattr(member, "column_names"):
        raise DataError(f"source {choice.name}: cannot say which columns it has; write its config by hand")
    there = request.path
    names = member.column_names(settings, there)
    asked = Wanted((), tuple(WantedFeature(f"c{n}", "category", name) for n, name in enumerate(names)))
    progress.step("counting what the columns hold")
    source = open_source(choice, there, asked, ingest)
    rows, parts = 0, Counter[str]()

    def watched() -> Any:
        nonlocal rows
        for table in source.tables:
            rows += table.num_rows
            for each in pc.value_counts(table["part"]).to_pylist():
                parts[each["values"]] += each["counts"]
            progress.advance(rows, source.rows or rows, unit="rows")
            yield table

    columns, problems = count_columns(watched(), names)
    if not rows:
        raise DataError(f"{request.shown}: holds no row")
    chosen = table_choosing.choose(columns, request.target)
    of_column = {column.name: column for column in columns}
    target = of_column[chosen.target]
    used = {str(each.get("settings", {}).get("column", name)): name for name, each in chosen.features.items()}
    known = {"before": list(used)}
    is_comma = not chosen.classes and target.decimal == ","
    goal = {"column": chosen.target, "decimal": ","} if is_comma else chosen.target
    given = {"target": goal, "known_at": known, "missing": list(chosen.missing)}
    nothing = Counter({text: rows for text, rows in target.nothings.items() if text in chosen.missing})
    labels = dict.fromkeys(chosen.classes, 0)
    for text, number in (target.values or {}).items():
        if text.strip() in labels and text not in nothing:
            labels[text.strip()] += number
    return Read(
        choice=Choice(name=choice.name, settings={**given, **choice.settings}),
        chosen=chosen,
        columns={name: (chosen.features[name]["kind"], of_column[column]) for column, name in used.items()},
        rows=rows,
        parts=parts,
        problems=problems,
        labels=labels,
        unlabelled=target.blank + nothing.total(),
    )


def _read_documents(request: Request, choice: Choice, ingest: IngestParams, progress: Progress) -> Read:
    [name] = SOURCE.member(choice.name).FEATURES
    looking, column = Looking(name), Column(name)
    source = open_source(choice, request.path, Wanted((), (WantedFeature(name, "text", name),)), ingest)
    progress.step("counting what the documents hold")
    for table in looking.watched(source.tables):
        column.add(table.filter(pc.is_null(table["problem"]))[name].combine_chunks())
        progress.advance(column.rows, source.rows or column.rows, unit="rows")
    delivered = looking.delivered
    labels = {each: delivered.labels[each] for each in sorted(looking.classes)}
    few = {each: rows for each, rows in labels.items() if rows < choosing.FEWEST}
    classes = tuple(each for each in labels if each not in few)
    if len(classes) < 2:
        raise DataError(
            f"{request.shown}: holds {len(classes)} class of {choosing.FEWEST} documents or more; two are needed"
        )
    words = column.words / max(1, column.given)
    chosen = TableChoice(
        target="",
        classes=classes,
        features={name: {"kind": "text", "settings": table_choosing.text_settings()}},
        reasons={name: f"{words:.0f} words on average, {count(column.longest)} characters at most"},
        missing=(),
        few=few,
    )
    return Read(
        choice=choice,
        chosen=chosen,
        columns={name: ("text", column)},
        rows=delivered.rows,
        parts=delivered.parts,
        problems=delivered.problems,
        labels={each: labels[each] for each in classes},
        unlabelled=delivered.unlabelled,
    )


def measure(
    request: Request, found: Read, recipe: Recipe, session: SparkSession, work: Path, progress: Progress
) -> Measured:
    """Take the rows through the stages by their own functions; raise DataError if they cannot be divided."""
    advance = partial(progress.advance, unit="rows")
    classes, features, roles = found.chosen.classes, found.features, found.roles
    own = RowColumns.of(classes, roles)
    shutil.rmtree(work / "raw", ignore_errors=True)
    progress.step("reading the source as a run will")
    source = open_source(found.choice, request.path, wanted(classes, features, roles))
    write_raw(source.tables, features, work / "raw", lambda rows: progress.advance(rows, found.rows, unit="rows"), own)
    measuring = Measuring(session, work, features, classes, roles, _KEPT)
    progress.step("cleaning and dividing the rows")
    cleaned = measuring.clean(is_test_given="test" in found.parts, on_progress=advance)
    split, cleaned, parts = _divided(request, found, measuring, cleaned, recipe.seed, advance)
    progress.step("preparing the rows")
    measuring.prepare(advance)
    measuring.augment(_NO_COPIES, recipe.seed, advance)
    progress.step("measuring")
    bounded = {"minimum": recipe.gate.minimum, "maximum": recipe.gate.maximum}
    if classes:
        drafted = judging.gate({name: parts["test"][name] for name in classes}, bounded)
        gate = (drafted.values, drafted.floor, drafted.margin)
    else:
        training, test = (read_labels(work / "prepared" / part)[1].tolist() for part in ("train", "test"))
        gate = table_choosing.number_gate(test, median(training), bounded)
    frozen = measuring.frozen and measuring.frozen.in_order(classes)
    return Measured(
        split,
        cleaned,
        parts,
        measuring.raw_table(),
        measuring.prepared_table(),
        gate,
        frozen.text.encode() if frozen else None,
    )


def _divided(
    request: Request, found: Read, measuring: Measuring, cleaned: Cleaned, seed: int, advance: Any
) -> tuple[choosing.Chosen, Cleaned, dict[str, dict[str, int]]]:
    ways = table_choosing.splits(list(found.parts), found.rows, request.places.name, is_number=not found.chosen.classes)
    try:
        return measuring.divided(ways, cleaned, seed, advance, is_cleaned_as_given="test" in found.parts)
    except DataError as error:
        raise DataError(
            f"{request.shown}: no way to divide its {count(cleaned.rows)} rows gives each part what it needs "
            f"({error}); add rows, or name another target"
        ) from error


def draft(request: Request, found: Read, measured: Measured, recipe: Recipe) -> tuple[Draft, list[str]]:
    """Return the config, and what a person should look at."""
    chosen, classes = found.chosen, found.chosen.classes
    network = table_choosing.model()
    training = table_choosing.table_training(sum(measured.parts["train"].values()), is_number=not classes)
    others = {name: None for name in recipe.data.features if name not in chosen.features}
    gate, floor, margin = measured.gate
    data: dict[str, Any] = {
        "source": {"name": found.choice.name, "settings": found.choice.settings},
        "path": request.shown,
        "address": request.address,
        "contracts": str(request.places.contracts),
        "classes": list(classes),
        "features": {**others, **chosen.features},
        "equal_rows": {"duplicates": "keep", "conflicts": "keep"},
    }
    if chosen.id is not None:
        data["roles"] = {"id": chosen.id}
    values = {
        "name": request.places.name,
        "task": "classification" if classes else "regression",
        "data": data,
        "split": measured.split.values,
        "augment": {"copies": 0, "steps": []},
        "model": network.values,
        "train": training.values,
        "gate": gate,
    }
    reasons = {
        "data.classes": "label n is the n-th; none: the target is a number",
        "data.equal_rows": "rows of a table may be equal by chance: all stay, and in one part",
        "split": measured.split.why,
        "model": network.why,
        "train": training.why,
        "gate.minimum": floor if classes else "the bounds of params.yaml are another task's",
        "gate.maximum": "" if classes else floor,
        "gate.rule": margin,
        **{f"data.features.{name}": why for name, why in chosen.reasons.items()},
        **{f"data.features.{name}": "the feature of params.yaml, which this is not about" for name in others},
    }
    unsure = [each for each in _doubts(found, measured) if each]
    what = f"{len(classes)} classes" if classes else f"a number ({chosen.target})"
    description = f"{request.places.name}: {count(found.rows)} rows, {what}"
    return (
        Draft(
            request.places.name,
            description,
            values,
            {key: why for key, why in reasons.items() if why},
            tuple(unsure),
            ("tables" if chosen.target else "text",),
        ),
        unsure,
    )


def _doubts(found: Read, measured: Measured) -> list[str]:
    chosen, reasons = found.chosen, measured.cleaned.reasons
    problems = ", ".join(f"{count(rows)} {problem}" for problem, rows in Counter(found.problems).most_common(4))
    others = {
        why: rows for why, rows in reasons.items() if why not in found.problems and why not in (CONFLICT, DUPLICATE)
    }
    left_out = "; ".join(f"{name or 'a column'} {why}" for name, why in list(chosen.left_out.items())[:_SHOWN])
    before = "every column is taken to be known before the prediction: move what is not to known_at.after"
    return [
        *chosen.unsure,
        before if chosen.target else "",
        f"left out: {left_out}" if left_out else "",
        f"values with too few rows to be classes, whose rows are rejected: {in_brackets(chosen.few)}"
        if chosen.few
        else "",
        f"{count(sum(found.problems.values()))} of {count(found.rows)} rows cannot be read: {problems}"
        if problems
        else "",
        f"rejected by what a column holds: {counted(others)}" if others else "",
        measured.split.unsure,
    ]


def contracts(name: str, found: Read, measured: Measured) -> dict[str, str]:
    """Return the two contracts by file name."""
    labelled, kept = sum(found.labels.values()), measured.cleaned.kept
    classes = found.chosen.classes
    shares = [found.labels[each] / labelled for each in classes]
    unknown = sum(found.chosen.few.values())
    raw = raw_table_suite(
        measured.raw, found.columns, found.problems, shares, found.unlabelled, unknown, found.chosen.missing
    )
    of_kept = [kept[each] / measured.cleaned.rows for each in classes]
    prepared = prepared_table_suite(measured.prepared, of_kept, measured.cleaned.rows)
    return {
        "raw.yaml": suite_text(name, "raw", "data/raw, whose values are texts", raw),
        "prepared.yaml": suite_text(name, "prepared", "data/prepared and data/augmented together", prepared),
    }


def found_lines(request: Request, found: Read, measured: Measured) -> list[str]:
    """Return what was found, a line for each subject."""
    chosen = found.chosen
    unlabelled = f", {count(found.unlabelled)} without a target" if found.unlabelled else ""
    kinds = Counter(each["kind"] for each in chosen.features.values())
    named: Sequence[str] = list(chosen.features)
    shown = ", ".join(named[:_SHOWN]) + (f", {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
    target = (
        f"{len(chosen.classes)} classes (rows): {in_brackets(measured.cleaned.kept)}"
        if chosen.classes
        else f"the target is a number: {chosen.target}"
    )
    test_rows = sum(measured.parts["test"].values())
    rejected = f"; rejected: {counted(measured.cleaned.reasons)}" if measured.cleaned.reasons else "; none is rejected"
    lines = [
        f"{request.shown}: {count(found.rows)} rows, read as {found.choice.name}{unlabelled}",
        target,
        f"features: {counted(kinds)}: {shown}",
        f"kept: {count(measured.cleaned.rows)}, {count(test_rows)} of them test rows{rejected}",
    ]
    return [shortened(line) for line in lines]
