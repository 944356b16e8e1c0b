"""`reports/contracts/<data set>/result.json`: the outcome of a contract, expectation by expectation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.errors import ContractError
from pipeline.records.record import Record

RESULT_FILE = "result.json"
ExpectationOutcome = Literal["pass", "fail", "error"]


class OffendingRow(Record):
    """A row that an expectation does not allow: its id, the file it came from and its number there, if known."""

    id: str
    source: str | None = None
    row: int | None = None


class ExpectationResult(Record):
    """One expectation and its outcome. `error`: it could not be evaluated, which is never a pass.

    `observed` is the observed value; for a row-wise expectation it says in words how many rows violate it, and
    `unexpected_rows` is that number, `offending_rows` the first of them. `listing` names the file, beside this record,
    that lists all of them, or very many.
    """

    type: str
    column: str | list[str] | None  # a list for a combination of columns; None for the whole table
    kwargs: dict[str, Any]
    outcome: ExpectationOutcome
    observed: Any
    unexpected_rows: int | None = None
    offending_rows: tuple[OffendingRow, ...] = ()
    listing: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
    error: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether it holds."""
        return self.outcome == "pass"

    @property
    def offending_ids(self) -> tuple[str, ...]:
        """The ids of the rows that are named."""
        return tuple(row.id for row in self.offending_rows)

    @property
    def unnamed_rows(self) -> int:
        """How many more rows violate it than are named."""
        return max(0, (self.unexpected_rows or 0) - len(self.offending_rows))

    @property
    def where(self) -> str:
        """The column or columns it is about, or `table`."""
        return ", ".join(self.column) if isinstance(self.column, list) else self.column or "table"

    @property
    def words(self) -> str:
        """The expectation's type as words: `column values to not be null`."""
        return self.type.removeprefix("expect_").replace("_", " ")


class ContractResult(Record):
    """The outcome of a contract on `rows` rows: one result for each declared expectation, in the contract's order."""

    VERSION: ClassVar[int] = 2
    suite: str
    rows: int
    outcome: Literal["pass", "fail"]
    expectations: tuple[ExpectationResult, ...]
    data_digest: str

    @property
    def has_passed(self) -> bool:
        """Whether the contract holds."""
        return self.outcome == "pass"

    @property
    def failed(self) -> list[ExpectationResult]:
        """The expectations that do not hold."""
        return [expectation for expectation in self.expectations if not expectation.has_passed]

    @property
    def passed(self) -> list[ExpectationResult]:
        """The expectations that hold."""
        return [expectation for expectation in self.expectations if expectation.has_passed]

    def to_json(self) -> dict[str, Any]:
        """Return the result as it stands in its file, leaving out an expectation's empty fields."""
        expectations = [each.model_dump(mode="json", exclude_defaults=True) for each in self.expectations]
        return {**super().to_json(), "expectations": expectations}

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Make rows of version 1's ids: it knew no files."""
        if version > 1 or not isinstance(values.get("expectations"), list):
            return values
        return {**values, "expectations": [_with_rows(each) for each in values["expectations"]]}

    def require_passed(self, where: Path) -> None:
        """Raise ContractError unless the contract holds.

        DVC does not run a stage after a failed one, except with `--single-item`: this check covers that case too.
        """
        if not self.has_passed:
            raise ContractError(f"{where}: the contract does not hold; fix the data or the contract, then `dvc repro`")


def _with_rows(expectation: Any) -> Any:
    if not isinstance(expectation, dict) or not isinstance(expectation.get("offending_ids"), list):
        return expectation
    rows = [{"id": each} for each in expectation["offending_ids"]]
    return {**{key: value for key, value in expectation.items() if key != "offending_ids"}, "offending_rows": rows}
