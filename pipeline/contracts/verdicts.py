"""What came of a check, as values: the JSON that DVC tracks and the one line that a person reads.

Everything here is a function of contract and data: no times, no ids of a run. Figures are cut to nine significant
digits, because Spark adds partial sums in the order in which they arrive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.contracts.suites import Expectation, Suite
from pipeline.errors import ContractError

Outcome = Literal["pass", "fail", "error"]
OFFENDING_IDS_SHOWN = 10
_TEXT_LIMIT = 200


@dataclass(frozen=True)
class ExpectationVerdict:
    """What came of one expectation. `error`: it could not be evaluated, which is never a pass.

    `observed` is the value it looked at; for an expectation about rows, how many of them do not keep to it, which
    `unexpected_rows` has as a number, with the ids of the first of them in `offending_ids`.
    """

    expectation: Expectation
    outcome: Outcome
    observed: Any = None
    unexpected_rows: int | None = None
    offending_ids: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as it stands in `result.json`."""
        value: dict[str, Any] = {
            "type": self.expectation.type,
            "column": self.expectation.column,
            "kwargs": dict(self.expectation.kwargs),
            "outcome": self.outcome,
            "observed": self.observed,
        }
        if self.unexpected_rows is not None:
            value["unexpected_rows"] = self.unexpected_rows
        if self.offending_ids:
            value["offending_ids"] = list(self.offending_ids)
        if self.details:
            value["details"] = dict(self.details)
        if self.error:
            value["error"] = self.error
        return value

    def sentence(self) -> str:
        """Say what was observed and what was expected, on which column, with the offending ids."""
        expected = {name: value for name, value in self.expectation.kwargs.items() if not name.startswith("column")}
        if "column_set" in self.expectation.kwargs or "column_list" in self.expectation.kwargs:
            expected = {name: value for name, value in self.expectation.kwargs.items() if name != "column"}
        found = f"could not be evaluated: {_short(self.error)}" if self.outcome == "error" else _short(self.observed)
        text = f"{self.expectation.type}{_on(self.expectation.column)}: {'' if self.error else 'observed '}{found}"
        if expected:
            text += f", expected {_short(expected)}"
        if self.details:
            text += f" ({_short(self.details)})"
        if self.offending_ids:
            more = (self.unexpected_rows or 0) - len(self.offending_ids)
            text += f"; ids {', '.join(self.offending_ids)}" + (f" and {more} more" if more > 0 else "")
        return text


@dataclass(frozen=True)
class CheckResult:
    """What came of a contract: one verdict for each declared expectation, in its order."""

    suite: Suite
    rows: int
    verdicts: tuple[ExpectationVerdict, ...]
    data_digest: str

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the data from passing. Empty only for rows that keep every declared expectation."""
        found = [] if self.rows else ["the table has no rows, so nothing was checked"]
        declared, judged = self.suite.expectations, tuple(verdict.expectation for verdict in self.verdicts)
        if judged != declared:
            found.append(f"{len(judged)} of {len(declared)} declared expectations were evaluated")
        return (*found, *(verdict.sentence() for verdict in self.verdicts if verdict.outcome != "pass"))

    @property
    def outcome(self) -> Literal["pass", "fail"]:
        """`pass` or `fail`."""
        return "fail" if self.problems else "pass"

    def to_json(self) -> dict[str, Any]:
        """Return the result as it stands in `result.json`."""
        return {
            "suite": self.suite.name,
            "rows": self.rows,
            "outcome": self.outcome,
            "expectations": [verdict.to_json() for verdict in self.verdicts],
            "data_digest": self.data_digest,
        }

    def require_pass(self, documents: Path) -> None:
        """Raise ContractError with the first problem in full, how many there are, and where all of them stand."""
        problems = self.problems
        if problems:
            more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise ContractError(f"{self.suite.path}: not kept: {problems[0]}{more}; see {documents}")


def stable(value: Any, *, is_ordered: bool = True) -> Any:
    """Return a JSON value: floats cut to nine significant digits, NaN and infinity as text, unordered lists sorted."""
    if isinstance(value, float):
        return float(f"{value:.9g}") if abs(value) < float("inf") else str(value)
    if isinstance(value, Mapping):
        return {str(name): stable(item, is_ordered=is_ordered) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [stable(item, is_ordered=is_ordered) for item in value]
        return items if is_ordered else sorted(items, key=_order)
    return value


def _order(item: Any) -> tuple[str, Any]:
    is_plain = isinstance(item, int | float | str)
    return ("number" if isinstance(item, int | float) else "text", item if is_plain else str(item))


def _on(column: str | list[str] | None) -> str:
    if column is None:
        return ""
    return f" on column '{column}'" if isinstance(column, str) else f" on columns {', '.join(column)}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
