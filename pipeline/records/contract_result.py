"""`reports/contracts/<data set>/result.json`: the outcome of a contract, expectation by expectation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pipeline.errors import ContractError
from pipeline.records.record import Record

RESULT_FILE = "result.json"
ExpectationOutcome = Literal["pass", "fail", "error"]


class ExpectationResult(Record):
    """One expectation and its outcome. `error`: it could not be evaluated, which is never a pass.

    `observed` is the observed value; for a row-wise expectation it says in words how many rows violate it, and
    `unexpected_rows` is that number, `offending_ids` the first of their ids.
    """

    type: str
    column: str | list[str] | None  # a list for a combination of columns; None for the whole table
    kwargs: dict[str, Any]
    outcome: ExpectationOutcome
    observed: Any
    unexpected_rows: int | None = None
    offending_ids: tuple[str, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)
    error: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether it holds."""
        return self.outcome == "pass"

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

    def require_passed(self, where: Path) -> None:
        """Raise ContractError unless the contract holds.

        DVC does not run a stage after a failed one, except with `--single-item`: this check covers that case too.
        """
        if not self.has_passed:
            raise ContractError(f"{where}: the contract does not hold; fix the data or the contract, then `dvc repro`")
