"""The columns of rows that no feature brings: the type of their label, and the roles that a recipe gives to columns.

A role is a column of its own in raw and clean rows: `key` (what a row is called outside), `group`, `time`,
`row_weight` (how much it counts in the loss; features are often called `weight`), and `slice_<name>` for each column by
which the model is judged. Prepared rows keep the weight and the slices, changed copies the weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from pipeline.recipe.recipe import Roles, slice_column

KEY, GROUP, TIME, WEIGHT = "key", "group", "time", "row_weight"
CLASS_LABEL, NUMBER_LABEL = pa.int32(), pa.float64()
MOMENT = pa.timestamp("us", "UTC")
_SLICE = slice_column("")
WEIGHT_TYPE = pa.float64()
_APART = {KEY: pa.string(), GROUP: pa.string(), TIME: MOMENT}
_TYPES = {**_APART, WEIGHT: WEIGHT_TYPE}
_NO_ROLES = Roles()


class RowColumns(NamedTuple):
    """What rows have beside features. Without classes the label is a number, otherwise an index into them."""

    is_number: bool = False
    roles: tuple[str, ...] = ()

    @classmethod
    def of(cls, classes: Sequence[str], roles: Roles = _NO_ROLES) -> RowColumns:
        """Return those of a recipe's `data`."""
        given = {KEY: roles.id, GROUP: roles.group, TIME: roles.time, WEIGHT: roles.weight}
        named = [column for column, name in given.items() if name]
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
        """The roles in which rows that are the same agree: all but weight and slices."""
        return [name for name in self.roles if name in _APART]

    @property
    def prepared(self) -> list[tuple[str, pa.DataType]]:
        """The roles' columns that prepared rows keep, and their types: weight and slices."""
        return [(name, kind) for name, kind in self.fields if name not in _APART]

    @property
    def of_copies(self) -> RowColumns:
        """What changed copies of rows have: the label and the weight."""
        return self._replace(roles=(WEIGHT,) if self.has_weight else ())

    @property
    def has_weight(self) -> bool:
        """Whether each row has a weight."""
        return WEIGHT in self.roles

    @property
    def slices(self) -> list[str]:
        """The columns that hold slices."""
        return slices_in(self.roles)


def slices_in(names: Iterable[str]) -> list[str]:
    """Return the columns among `names` that hold slices."""
    return [name for name in names if name.startswith(_SLICE)]
