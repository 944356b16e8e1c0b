"""What a source delivers, counted while it is read: no payload is decoded, and none is kept.

Of each picture its two sides stay, eight bytes; of everything else only how often it comes.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.entries import UNKNOWN_LABEL
from pipeline.errors import DataError

Sides = npt.NDArray[np.int32]
_NONE_OF = re.compile(r"(.*) is none of data\.classes", re.DOTALL)  # as `entries.labels_of` tells it


@dataclass
class Delivered:
    """What the rows say of themselves. `labels` counts by class name, in the order in which the classes come first.

    A row with a problem counts in `problems`, in `labels` if it has one, and in nothing about pictures. While classes
    are being found, a source does not tell the label of such a row: it is unknown.
    """

    rows: int = 0
    unlabelled: int = 0
    null_labels: int = 0  # with those of rows with a problem
    unknown_labels: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    folders: set[str] = field(default_factory=set)  # in which files with a label stand
    labels: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)


@dataclass
class Pictures:
    """What the headers say of a feature that is a picture: sides in pixels `[picture]`, payloads in bytes."""

    encodings: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    smallest_bytes: int = 0
    largest_bytes: int = 0
    heights: Sides = field(default_factory=lambda: np.empty(0, np.int32))
    widths: Sides = field(default_factory=lambda: np.empty(0, np.int32))

    @property
    def are_of_one_size(self) -> bool:
        """Whether all pictures have the same sides."""
        return all(len(sides) and sides.min() == sides.max() for sides in (self.heights, self.widths))


class Looking:
    """Counts a source's rows as they pass, and numbers the classes that it names as they come."""

    def __init__(self, feature: str, classes: Sequence[str] = ()) -> None:
        """`classes` are those with which the source is opened; without any, they are found."""
        self.delivered = Delivered()
        self._pictures = Pictures()
        self._feature = feature
        self._sides: list[npt.NDArray[np.int32]] = []
        self._numbers = {name: number for number, name in enumerate(classes)}
        self._are_given = bool(classes)
        self._told: dict[str, int] = {}  # the same, by the words that tell it

    def watched(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the tables with every label a number: of a class that the source names, its place in `classes`.

        Raises DataError for labels that are numbers in some rows and names in others.
        """
        for table in tables:
            numbered = self._numbered(table)
            self._count(numbered)
            yield numbered

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that have come so far: label n is the n-th."""
        if self._numbers:
            return tuple(self._numbers)
        highest = max((int(name) for name in self.delivered.labels), default=-1)
        return tuple(map(str, range(highest + 1)))

    @property
    def are_named(self) -> bool:
        """Whether the source names its classes; otherwise its labels are numbers."""
        return bool(self._numbers)

    @property
    def pictures(self) -> Pictures:
        """What the headers of the pictures have said so far."""
        if self._sides:
            self._pictures.heights, self._pictures.widths = np.concatenate(self._sides, axis=1)
        return self._pictures

    def _numbered(self, table: pa.Table) -> pa.Table:
        """Return a table in which the names that stand in `detail` of unknown labels have become labels."""
        if self._are_given or "detail" not in table.column_names:
            return table
        label, detail = table["label"], table["detail"]
        is_named = pc.and_(pc.equal(label, UNKNOWN_LABEL).fill_null(False), detail.is_valid())
        is_named = pc.and_(is_named, table["problem"].is_null())
        if not pc.any(is_named).as_py():
            return table
        if any(number >= 0 for number in pc.unique(label.filter(pc.invert(is_named)).drop_null()).to_pylist()):
            raise DataError("data.source: delivers some labels as numbers and some as names, so classes cannot be told")
        told = pc.if_else(is_named, detail, pa.scalar(None, pa.string()))
        for each in pc.unique(told).drop_null().to_pylist():
            self._numbers.setdefault(_named(each), len(self._numbers))
            self._told.setdefault(each, self._numbers[_named(each)])
        places = pc.index_in(told, pa.array(list(self._told), pa.string()))
        numbered = pc.coalesce(pc.take(pa.array(self._told.values(), pa.int32()), places), label)
        cleared = pc.if_else(is_named, pa.scalar(None, pa.string()), detail)
        return _replaced(_replaced(table, "label", numbered.cast(pa.int32())), "detail", cleared)

    def _count(self, table: pa.Table) -> None:
        found = self.delivered
        found.rows += table.num_rows
        found.parts.update(_counts(table["part"]))
        found.null_labels += table["label"].null_count
        found.unknown_labels += pc.sum(pc.equal(table["label"], UNKNOWN_LABEL)).as_py() or 0
        names = list(self._numbers)
        for label, rows in _counts(table["label"]).items():
            if label >= 0:
                found.labels[names[label] if names else str(label)] += rows
        if "source" in table.column_names:
            labelled = table["source"].filter(pc.greater_equal(table["label"], 0).fill_null(False))
            found.folders.update(pc.unique(pc.replace_substring_regex(labelled, "(^|/)[^/]*$", "")).to_pylist())
        sound = table
        if "problem" in table.column_names:
            found.problems.update(_counts(table["problem"]))
            sound = table.filter(table["problem"].is_null())
        found.unlabelled += sound["label"].null_count
        self._count_pictures(sound)

    def _count_pictures(self, table: pa.Table) -> None:
        pictures, name = self._pictures, self._feature
        if f"{name}_encoding" not in table.column_names:
            return  # documents, or a table
        pictures.encodings.update(_counts(table[f"{name}_encoding"]))
        pictures.channels.update(_counts(table[f"{name}_channels"]))
        if f"{name}_mode" in table.column_names:
            pictures.modes.update(_counts(table[f"{name}_mode"]))
        sizes = pc.min_max(pc.binary_length(table[name]))
        if sizes["max"].is_valid:
            smallest, largest = sizes["min"].as_py(), sizes["max"].as_py()
            pictures.smallest_bytes = min(pictures.smallest_bytes or smallest, smallest)
            pictures.largest_bytes = max(pictures.largest_bytes, largest)
        sides = [table[f"{name}_{side}"].fill_null(0).to_numpy().astype(np.int32) for side in ("height", "width")]
        both = np.stack(sides)
        self._sides.append(both[:, (both > 0).all(axis=0)])


def _named(detail: str) -> str:
    """Return the text of a label that is none of the declared classes, of which there are none here.

    Blanks around it, and Unicode's two ways to write an accent, make no other class: `entries.labels_of` has it so.
    """
    told = _NONE_OF.fullmatch(detail)
    if told is None:
        return detail
    try:
        return normalize("NFC", str(ast.literal_eval(told[1])).strip())
    except (ValueError, SyntaxError) as error:  # its end is cut off
        raise DataError(f"data.source: the class {detail:.80} … has too long a name; make it shorter") from error


def _counts(column: pa.ChunkedArray) -> dict[Any, int]:
    counted = pc.value_counts(column.drop_null())
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
