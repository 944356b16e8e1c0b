"""The raw values of single rows, as a source delivered them: what people look at where a row is no picture.

They stand in the data set of served rows, in the order of the prepared ones, and are shown by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec
from pipeline.report.figures import measure
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

_ID = "id"
_TEXT = "text"  # the kind of feature that is read, not compared
_MOST_BESIDE = 12  # features of a row in a line of a table; the others are folded
_LONGEST_CELL = 60  # characters of a value in such a line
_TEXT_SHOWN, _TEXT_FOLDED = 600, 10_000  # characters of a text, and those after them that are folded
_FIGURES = 6  # of a number


@dataclass(frozen=True)
class ShownValue:
    """What a row has of a feature: the beginning, what of the rest can be unfolded, and the characters left out."""

    text: str
    folded: str = ""
    left_out: int = 0
    exact: str = ""  # of a number that is shown rounded
    is_missing: bool = False


@dataclass(frozen=True)
class RawColumn:
    """A feature whose raw values are shown: in a cell of a row's line, folded below it, or as a text below it."""

    name: str
    unit: str
    place: str  # beside, folded, or below


def raw_columns(features: Sequence[FeatureSpec], served: Path) -> list[RawColumn]:
    """Return the features of which a data set has raw values, in their order."""
    there = read_manifest(served, verify=False).columns
    found = [spec for spec in features if spec.name in there]
    short = [spec.name for spec in found if spec.kind != _TEXT]
    beside = short[:_MOST_BESIDE]
    return [
        RawColumn(
            spec.name,
            str(spec.settings.get("unit") or ""),
            "below" if spec.kind == _TEXT else "beside" if spec.name in beside else "folded",
        )
        for spec in found
    ]


def raw_values(wanted: Mapping[int, str], columns: Sequence[RawColumn], served: Path) -> dict[int, list[ShownValue]]:
    """Return the values of wanted rows, ids by number, in the order of the columns.

    Raises DataError if a row is not the one of its id, or if it is not there.
    """
    found: dict[int, list[ShownValue]] = {}
    names = [column.name for column in columns]
    start = 0
    for table in shards.iter_tables(served, [_ID, *names], verify=False):
        for row in [row for row in wanted if start <= row < start + table.num_rows]:
            if table[_ID][row - start].as_py() != wanted[row]:
                raise DataError(f"{served.name}: row {row} is not the one that was evaluated; run again")
            found[row] = [_shown(table, column, row - start) for column in columns]
        start += table.num_rows
    if missing := sorted(set(wanted) - set(found)):
        raise DataError(f"{served.name}: has no row {missing[0]}; run again")
    return found


def _shown(table: pa.Table, column: RawColumn, row: int) -> ShownValue:
    value = table[column.name][row].as_py()
    if value is None or value == "":
        return ShownValue("missing" if value is None else "empty", is_missing=True)
    if isinstance(value, str):
        shown = _TEXT_SHOWN if column.place == "below" else _LONGEST_CELL
        end = shown + _TEXT_FOLDED
        return ShownValue(value[:shown], value[shown:end], max(len(value) - end, 0))
    return ShownValue(measure(value, figures=_FIGURES), exact=repr(value))
