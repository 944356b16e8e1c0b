"""What is wrong with the rows of one table: the first problem that is found of a row is its problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Mask = npt.NDArray[np.bool_]
_LONGEST_DETAIL = 1000  # characters


class Faults:
    """Problems and details of `rows` rows, `[row]` each, None where there is none."""

    def __init__(self, rows: int, problems: pa.Array | None = None, details: pa.Array | None = None) -> None:
        self._rows = rows
        self._problems: npt.NDArray[np.object_] | None = None
        self._details: npt.NDArray[np.object_] | None = None
        if problems is not None and problems.null_count < rows:
            self._problems = _objects(problems)
            self._details = np.full(rows, None, np.object_) if details is None else _objects(details)

    def add(self, at: Mask, problem: str, detail: Callable[[int], str | None]) -> None:
        """Give the rows at which `at` is true a problem, and what `detail` says of a row's number in the table."""
        self.add_each(np.flatnonzero(at), lambda row: (problem, detail(row)))

    def add_each(self, rows: npt.NDArray[np.intp], told: Callable[[int], tuple[str, str | None]]) -> None:
        """Give each of the rows a problem and its detail, as `told` says of its number in the table."""
        problems, details = self._arrays() if len(rows) else (None, None)
        if problems is not None and details is not None:
            for row in rows.tolist():
                if problems[row] is None:
                    problems[row], detail = told(row)
                    details[row] = None if detail is None else detail[:_LONGEST_DETAIL]

    def add_row(self, row: int, problem: str, detail: str | None) -> None:
        """Give one row a problem."""
        self.add_each(np.array([row], np.intp), lambda _: (problem, detail))

    def note(self, at: Mask, detail: Callable[[int], str | None]) -> None:
        """Say something of rows without giving them a problem, where they have none."""
        rows = np.flatnonzero(at)
        problems, details = self._arrays() if len(rows) else (None, None)
        if problems is not None and details is not None:
            for row in rows.tolist():
                if problems[row] is None:
                    details[row] = detail(row)

    @property
    def at(self) -> Mask | None:
        """Which rows have a problem; None if none has."""
        if self._problems is None:
            return None
        found: Mask = self._problems != np.array(None, np.object_)
        return found if found.any() else None

    def sliced(self, begin: int, end: int) -> Faults:
        """Return what is wrong with the rows from `begin` to before `end`."""
        found = Faults(end - begin)
        if self._problems is not None and self._details is not None:
            found._problems, found._details = self._problems[begin:end], self._details[begin:end]
        return found

    def columns(self) -> tuple[pa.Array, pa.Array]:
        """Return the columns `problem` and `detail`."""
        if self._problems is None or self._details is None:
            return pa.nulls(self._rows, pa.string()), pa.nulls(self._rows, pa.string())
        return pa.array(self._problems, pa.string()), pa.array(self._details, pa.string())

    def _arrays(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if self._problems is None or self._details is None:
            self._problems, self._details = np.full((2, self._rows), None, np.object_)
        return self._problems, self._details


def _objects(column: pa.Array) -> npt.NDArray[np.object_]:
    found = np.empty(len(column), np.object_)
    found[:] = column.to_pylist()
    return found
