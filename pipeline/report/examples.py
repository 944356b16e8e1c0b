"""A contact sheet of augmentation: some training rows, and what the recipe's steps make of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.report.mistakes import drawable, pixels_of, png_uri
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section, section
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

_COLUMNS = ("id", "label", "copy", "source_id", "other_label", "share")
_ALL = 100  # percent


@dataclass(frozen=True)
class ShownCopy:
    """A changed copy of a row, or copy 0, the row itself: its picture, and what it is called to be in words."""

    copy: int
    label: str
    picture: str  # data URI of a PNG


@dataclass(frozen=True)
class Examples:
    """The steps by name, when they are taken, how many copies are trained on; and by row its copies, 0 first.

    `by_class` is how many copies rows of each class have, where a step adds some; empty if all have `copies`.
    """

    steps: tuple[str, ...]
    when: str
    copies: int
    rows: tuple[tuple[ShownCopy, ...], ...]
    by_class: Mapping[str, int] = field(default_factory=dict)


def read_examples(files: RunFiles) -> Section[Examples]:
    """Read the examples that a run has made; no rows if it changes none, or if people cannot look at its features."""
    return section(lambda: _read_examples(files), files.root)


def _read_examples(files: RunFiles) -> Examples | None:
    folder = files.folder("examples")
    if folder is None:
        return None
    manifest = read_manifest(folder)
    counts = manifest.counts
    steps, classes, when, copies = (counts.get(key) for key in ("steps", "classes", "when", "copies"))
    if not (isinstance(steps, list) and isinstance(classes, list) and isinstance(copies, int)):
        raise DataError(f"{folder}: its manifest does not say what was done; make it again")
    spec = drawable(manifest.features, folder)
    rows: dict[str, list[ShownCopy]] = {}
    for table in shards.iter_tables(folder, verify=False) if spec else ():
        assert spec is not None
        if not {*_COLUMNS} <= {*table.column_names}:
            raise DataError(f"{folder}: its shards are not what its manifest says; make it again")
        for values, pixels in zip(_values(table), pixels_of(table, spec, folder), strict=True):
            shown = ShownCopy(values["copy"], _in_words(values, classes), png_uri(pixels))
            rows.setdefault(values["source_id"], []).append(shown)
    ordered = tuple(tuple(sorted(shown, key=lambda one: one.copy)) for shown in rows.values())
    return Examples(tuple(map(str, steps)), str(when), copies, ordered, _by_class(counts, folder))


def _by_class(counts: Mapping[str, Any], folder: Path) -> dict[str, int]:
    found = counts.get("copies_by_class", {})
    if not (isinstance(found, dict) and all(isinstance(number, int) for number in found.values())):
        raise DataError(f"{folder}: its manifest does not say how many copies there are; make it again")
    return found


def _values(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.select(list(_COLUMNS)).to_pylist()
    return found


def _in_words(values: dict[str, Any], classes: list[str]) -> str:
    """Return a copy's class, or number; of one with two labels both, each with its share in percent."""
    labels = values["label"], values["other_label"]
    if not classes and all(isinstance(label, float) for label in labels):
        classes, labels = [f"{label:g}" for label in labels], (0, 1)
    if not all(isinstance(label, int) and 0 <= label < len(classes) for label in labels):
        raise DataError(f"the examples have labels {labels[0]} and {labels[1]}, of {len(classes)} classes; run again")
    own, other = (classes[label] for label in labels)
    share = round(100 * values["share"])
    return own if share == _ALL or own == other else f"{share} % {own}, {_ALL - share} % {other}"
