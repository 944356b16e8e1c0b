"""The columns of rows that no feature brings: the type of their label, and the roles that a recipe gives to columns.

A role is a column of its own in raw and clean rows: `key` (what a row is called outside), `group`, `time`, and
`slice_<name>` for each column by which the model is judged. Prepared rows keep the slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from pipeline.recipe.recipe import Roles, slice_column

KEY, GROUP, TIME = "key", "group", "time"
CLASS_LABEL, NUMBER_LABEL = pa.int32(), pa.float64()
_SLICE = slice_column("")
_TYPES = {KEY: pa.string(), GROUP: pa.string(), TIME: pa.timestamp("us", "UTC")}
_NO_ROLES = Roles()


class RowColumns(NamedTuple):
    """What rows have beside features. Without classes the label is a number, otherwise an index into them."""

    is_number: bool = False
    roles: tuple[str, ...] = ()

    @classmethod
    def of(cls, classes: Sequence[str], roles: Roles = _NO_ROLES) -> RowColumns:
        """Return those of a recipe's `data`."""
        named = [column for column, name in ((KEY, roles.id), (GROUP, roles.group), (TIME, roles.time)) if name]
        return cls(not classes, (*named, *map(slice_column, roles.slices)))

    @classmethod
    def found(cls, columns: Mapping[str, str]) -> RowColumns:
        """Return those that a data set has, by its manifest's columns and their types."""
        is_number = columns.get("label") == str(NUMBER_LABEL)
        return cls(is_number, tuple(name for name in columns if name in _TYPES or name.startswith(_SLICE)))

    @property
    def label(self) -> pa.DataType:
        """The type of a label."""
        return NUMBER_LABEL if self.is_number else CLASS_LABEL

    @property
    def fields(self) -> list[tuple[str, pa.DataType]]:
        """The roles' columns and their types."""
        return [(name, _TYPES.get(name, pa.string())) for name in self.roles]

    @property
    def apart(self) -> list[str]:
        """The roles in which rows that are the same agree: all but slices."""
        return [name for name in self.roles if name in _TYPES]

    @property
    def slices(self) -> list[str]:
        """The columns that hold slices."""
        return slices_in(self.roles)


def slices_in(names: Iterable[str]) -> list[str]:
    """Return the columns among `names` that hold slices."""
    return [name for name in names if name.startswith(_SLICE)]
