"""The outcome of a check, as a record for later stages and as lines for people.

Everything here is a function of contract and data: no times, no run ids. Figures are rounded to nine significant
digits, because Spark adds partial sums in the order in which they arrive.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.contracts.offending import SHOWN, in_words
from pipeline.contracts.suites import Expectation, Suite
from pipeline.errors import LONGEST_LINE, ContractError
from pipeline.records.contract_result import ContractResult, ExpectationOutcome, ExpectationResult, OffendingRow

_TEXT_LIMIT = 200  # characters
_STAGE_NAMED = len("stage check_prepared: ")  # before the line, in a run


def expectation_result(
    expectation: Expectation,
    outcome: ExpectationOutcome,
    observed: Any = None,
    *,
    unexpected_rows: int | None = None,
    offending_rows: tuple[OffendingRow, ...] = (),
    listing: str = "",
    details: Mapping[str, Any] | None = None,
    error: str = "",
) -> ExpectationResult:
    """Return the result of a declared expectation; see ExpectationResult."""
    return ExpectationResult(
        type=expectation.type,
        column=expectation.column,
        kwargs=dict(expectation.kwargs),
        outcome=outcome,
        observed=observed,
        unexpected_rows=unexpected_rows,
        offending_rows=offending_rows,
        listing=listing,
        details=dict(details or {}),
        error=error,
    )


def contract_result(
    suite: Suite, rows: int, expectations: Sequence[ExpectationResult], data_digest: str
) -> ContractResult:
    """Return the result of a contract: a pass only if there are rows and every declared expectation holds."""
    return ContractResult(
        suite=suite.name,
        rows=rows,
        outcome="fail" if problems(suite, rows, expectations) else "pass",
        expectations=tuple(expectations),
        data_digest=data_digest,
    )


def problems(
    suite: Suite,
    rows: int,
    expectations: Sequence[ExpectationResult],
    most_rows: int = SHOWN,
    *,
    says_expected: bool = True,
) -> tuple[str, ...]:
    """Return what keeps the data from passing, one line each; empty if there are rows and every expectation holds."""
    found = [] if rows else ["the table has no rows, so nothing was checked"]
    declared = [(each.type, dict(each.kwargs)) for each in suite.expectations]
    if [(each.type, each.kwargs) for each in expectations] != declared:
        found.append(f"{len(expectations)} of {len(declared)} declared expectations were evaluated")
    return (
        *found,
        *(sentence(each, most_rows, says_expected=says_expected) for each in expectations if not each.has_passed),
    )


def require_pass(suite: Suite, result: ContractResult, documents: Path) -> None:
    """Raise ContractError, if there are problems, with the first in full, how many there are, and where to find all.

    It names as many rows as there is room for in its line; what was expected, which the contract says, gives way.
    """
    path = Path(*suite.path.parts[-3:])  # data_contracts/<dataset>/<contract>
    for most_rows, says_expected in itertools.product(range(SHOWN, -1, -1), (True, False)):
        found = problems(suite, result.rows, result.expectations, most_rows, says_expected=says_expected)
        if not found:
            return
        more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
        line = f"{path}: does not hold: {found[0]}{more}; see {_from_here(documents)}"
        if len(line) <= LONGEST_LINE - _STAGE_NAMED:
            break
    raise ContractError(line)


def _from_here(path: Path) -> Path:
    """Return a path below the current folder as it is from there: a stage works in its project, or workspace."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def sentence(result: ExpectationResult, most_rows: int = SHOWN, *, says_expected: bool = True) -> str:
    """Return in words what was observed and expected, on which column, by which rows, and where the others stand."""
    expected = {name: value for name, value in result.kwargs.items() if not name.startswith("column")}
    if "column_set" in result.kwargs or "column_list" in result.kwargs:
        expected = {name: value for name, value in result.kwargs.items() if name != "column"}
    found = f"could not be evaluated: {_short(result.error)}" if result.outcome == "error" else _short(result.observed)
    text = f"{result.type}{_on(result.column)}: {'' if result.error else 'observed '}{found}"
    if expected and says_expected:
        text += f", expected {_short(expected)}"
    if result.details:
        text += f" ({_short(result.details)})"
    if result.offending_rows:
        named = result.offending_rows[:most_rows]
        left = (result.unexpected_rows or len(result.offending_rows)) - len(named)
        there = f" in {result.listing}" if result.listing else ""
        rest = f"{left} more{there}" if named else f"{left} row{'' if left == 1 else 's'}{there}"
        text += "; " + " and ".join(filter(None, (in_words(named), rest if left > 0 else "")))
    return text


def stable(value: Any, *, is_ordered: bool = True) -> Any:
    """Return a JSON value: floats with nine significant digits, NaN and infinity as text, unordered lists sorted."""
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
