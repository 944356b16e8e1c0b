"""Slices that the recipe declares: rows by the text that a column of the source has for them (`data.roles.slices`).

Values with few rows are one slice together, `(other)`. Every slice must pass the gate: one of a few rows could pass
only by luck, so it would refuse whatever is judged; and rare values come and go from day to day, and the names of the
checks with them. A value that is called like one of these names has brackets more: no two slices have one name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.recipe.recipe import slice_column
from pipeline.recipe.task import OTHER, Slices

FEWEST_ROWS = 100  # of a slice of its own
NO_VALUE = "(none)"  # what rows without a value are called
Texts = Mapping[str, Sequence[str]]  # by column, `[row]` each; "" where a row has no value
_PREFIX = slice_column("")
_LIKE_OURS = re.compile(rf"\(+({NO_VALUE[1:-1]}|{OTHER[1:-1]})\)+")


def declared_slices(texts: Texts) -> dict[str, Slices]:
    """Return the slices of each column of rows, in the order of their names, `(other)` last.

    A column is called as in the recipe's bounds: without the beginning of the rows' column.
    """
    return {column.removeprefix(_PREFIX): _slices(values) for column, values in texts.items()}


def _name(value: str) -> str:
    """Return what the slice of a value is called: no two values have one name, and none has `(none)` or `(other)`."""
    if not value:
        return NO_VALUE
    return f"({value})" if _LIKE_OURS.fullmatch(value) else value


def _slices(values: Sequence[str]) -> Slices:
    named = [_name(value) for value in values]
    rows = Counter(named)
    names = sorted(name for name, count in rows.items() if count >= FEWEST_ROWS)
    if sum(rows[name] for name in names) < len(named):
        names.append(OTHER)
    number_of = {name: number for number, name in enumerate(names)}
    others = len(names) - 1
    return Slices(tuple(names), np.array([number_of.get(name, others) for name in named], np.int64))
