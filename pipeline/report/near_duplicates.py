"""Rows of two parts that look nearly the same: how many, what the test part says without them, and pictures of some.

The pictures are of the validation and the training part: single test rows are shown to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.evaluation.predictions import SHOWN_PART
from pipeline.records.metrics import ROWS
from pipeline.report.measured import task_of_run
from pipeline.report.mistakes import png_uri
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import section
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.near_duplicates import LEARNED_PART, Between, NearDuplicates, read_near_duplicates

_MOST_PAIRS = 6  # of the most, and as many of the least alike
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Figure:
    """A metric of all test rows, and of those that look like no training row."""

    title: str
    all: float
    without: float


@dataclass(frozen=True)
class ShownPair:
    """Pictures of a validation row and of a training row as data URIs, the classes of both, and how near they are."""

    pictures: tuple[str, str]
    classes: tuple[str, str]
    likeness: float
    bits: int


@dataclass(frozen=True)
class Near:
    """What the page shows. `rows` and `rows_without` are the test rows of the figures, which are none if not known."""

    between: tuple[Between, ...]
    why_not: str
    bits: int
    likeness: float
    figures: tuple[Figure, ...]
    rows: float
    rows_without: float
    pairs: tuple[ShownPair, ...]
    problem: str  # why there are no pictures though there should be


def read_near(files: RunFiles) -> Near | None:
    """Read the near-duplicates of a run; None if they were never looked for."""
    folder = files.folder("near_duplicates")
    if folder is None:
        return None
    found = read_near_duplicates(folder, verify=False)
    report = files.metrics.value
    without = report.without_near_duplicates if report else None
    pairs = section(lambda: _pairs(files, found), files.root)
    return Near(
        between=found.between,
        why_not=found.why_not,
        bits=found.bits,
        likeness=found.likeness,
        figures=_figures(files, report.test, without) if report and without else (),
        rows=report.test[ROWS] if report else 0,
        rows_without=without[ROWS] if without else 0,
        pairs=pairs.value or (),
        problem=pairs.problem,
    )


def _figures(files: RunFiles, every: dict[str, Any], without: dict[str, Any]) -> tuple[Figure, ...]:
    kind = task_of_run(files)
    titles = {metric.name: metric.title for metric in kind.metrics} if kind else {}
    return tuple(
        Figure(titles.get(name, name.replace("_", " ")), every[name], value)
        for name, value in without.items()
        if name != ROWS and name in every
    )


def _pairs(files: RunFiles, found: NearDuplicates) -> tuple[ShownPair, ...]:
    rows = sorted(found.of(SHOWN_PART, LEARNED_PART), key=lambda row: (-row["likeness"], row["row"]))
    chosen = rows if len(rows) <= 2 * _MOST_PAIRS else [*rows[:_MOST_PAIRS], *rows[-_MOST_PAIRS:]]
    if not chosen:
        return ()
    prepared = files.folder("prepared")
    if prepared is None:
        raise DataError("the data that were looked at are not here")
    names = (files.recipe.value or {}).get("data.classes", ())
    later = _pictures(prepared / SHOWN_PART, [(pair["row"], pair["id"]) for pair in chosen])
    earlier = _pictures(prepared / LEARNED_PART, [(pair["earlier_row"], pair["earlier_id"]) for pair in chosen])
    return tuple(
        ShownPair(
            (one, other),
            (_name(names, pair["label"]), _name(names, pair["earlier_label"])),
            pair["likeness"],
            pair["bits"],
        )
        for one, other, pair in zip(later, earlier, chosen, strict=True)
    )


def _name(names: Sequence[object], label: int) -> str:
    return str(names[label]) if 0 <= label < len(names) else f"label {label}"


def _pictures(part: Path, wanted: Sequence[tuple[int, str]]) -> list[str]:
    """Return pictures of rows of a prepared part; raise DataError if a row is not the one of that id."""
    spec = next((each for each in read_manifest(part, verify=False).features if each.kind == "image"), None)
    if spec is None or len(spec.shape) != 3 or spec.shape[2] not in _CHANNELS or spec.dtype != "uint8":
        raise DataError(f"{part.name}: holds no pictures that can be drawn")
    rows = shards.read_rows(part, verify=False)
    for row, row_id in wanted:
        if not 0 <= row < len(rows) or rows.ids[row] != row_id:
            raise DataError(f"{part.name}: row {row} is not the one that was looked at; run again")
    pixels = rows.columns[spec.name].take(np.array([row for row, _ in wanted], np.int64), axis=0)
    return [png_uri(each) for each in pixels]
