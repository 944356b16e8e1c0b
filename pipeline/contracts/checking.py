"""Evaluates a contract on a Spark table with Great Expectations.

One graph of metrics for the whole suite, so that Great Expectations bundles what it can into one Spark aggregation.
Row-wise expectations are first evaluated for pass or fail only; rows and values are fetched for those that fail. No
data context is created: nothing is stored, sent or looked up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.contracts.offending import SHOWN, Places, first_rows, listing, offending_rows
from pipeline.contracts.results import contract_result, expectation_result, stable
from pipeline.contracts.suites import Expectation, Suite
from pipeline.errors import UsageError, nearest
from pipeline.records.contract_result import ContractResult, ExpectationOutcome, ExpectationResult

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_DETAILS = {"result_format": "BASIC", "partial_unexpected_count": SHOWN}
_BOOLEAN_ONLY = {"result_format": "BOOLEAN_ONLY"}


def load_library() -> Any:
    """Import Great Expectations, which takes seconds, with its telemetry off; return the module."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def bind(suite: Suite) -> list[Any]:
    """Return the suite's expectations as Great Expectations' own objects, in the same order.

    Raises UsageError naming file, expectation and argument if an argument is wrong.
    """
    load_library()
    from great_expectations.compatibility import pydantic
    from great_expectations.expectations.registry import get_expectation_impl

    bound = []
    for expectation in suite.expectations:
        kind = get_expectation_impl(expectation.type)
        try:
            bound.append(kind(**expectation.kwargs, meta=dict(expectation.meta) or None, notes=expectation.notes))
        except pydantic.ValidationError as error:
            raise UsageError(f"{expectation.where}: {_first_problem(kind, error.errors())}") from error
        except (TypeError, ValueError) as error:
            raise UsageError(f"{expectation.where}: {error}") from error
    return bound


@dataclass(frozen=True)
class Checked:
    """A checked suite: its result, and Great Expectations' own results for the documents, in the suite's order.

    `listings` are the rows that failed expectations do not allow, as CSV, by the file that the result names.
    """

    suite: Suite
    result: ContractResult
    validations: Sequence[Any]
    listings: Mapping[str, bytes] = field(default_factory=dict)


def check(
    frame: DataFrame, suite: Suite, expectations: Sequence[Any], data_digest: str, places: Places | None = None
) -> Checked:
    """Evaluate a suite, bound by `bind`, on a table with a column `id`. Bad data fails expectations; it never raises.

    `places` finds the files of rows in a table that has no columns for them.

    The table is read several times, a few columns each time: persist it if it is costly to compute. Do not persist a
    plain scan of Parquet, which is quicker to read again than to persist.
    """
    evaluation = _Evaluation(frame)
    judged = evaluation.evaluate(expectations)
    results, listings = [], {}
    for number, (declared, bound, outcome) in enumerate(zip(suite.expectations, expectations, judged, strict=True), 1):
        offending: dict[str, Any] = {}
        if outcome.is_row_wise and not outcome.error and not outcome.success:
            evaluation.fetch_details(bound, outcome)
            rows = evaluation.offending_rows(bound, declared, places)
            name = f"rows-{number:02d}.csv"
            offending = {"offending_rows": first_rows(rows), "listing": name}
            listings[name] = listing(rows)
        results.append(_result(declared, outcome, **offending))
    result = contract_result(suite, evaluation.rows, results, data_digest)
    return Checked(suite, result, [outcome.validation for outcome in judged], listings)


@dataclass(frozen=True)
class _Question:
    """An expectation, the result format in which it is evaluated, and the metrics it needs."""

    expectation: Any
    result_format: Mapping[str, Any]
    metrics: Mapping[str, Any]
    error: str = ""

    @property
    def is_row_wise(self) -> bool:
        """Whether it counts rows. A column map expectation may not: a column's type comes from the schema."""
        return f"{getattr(self.expectation, 'map_metric', None)}.unexpected_count" in self.metrics


@dataclass
class _Evaluated:
    """Great Expectations' result for one expectation."""

    validation: Any
    is_row_wise: bool
    unexpected_rows: int | None = None
    evaluated_rows: int | None = None
    error: str = ""

    @property
    def success(self) -> bool:
        # `is True`: anything else that an expectation may return is not a pass.
        return not self.error and self.validation.success is True


class _Evaluation:
    """The metrics of one table."""

    def __init__(self, frame: DataFrame) -> None:
        from great_expectations.validator.metrics_calculator import MetricsCalculator

        from pipeline.contracts.engine import SparkEngine

        self.rows = 0
        self._engine = SparkEngine(spark=frame.sparkSession, persist=False)
        self._engine.load_batch_data(batch_id="table", batch_data=frame)
        self._calculator = MetricsCalculator(self._engine, show_progress_bars=False)

    def evaluate(self, expectations: Sequence[Any]) -> list[_Evaluated]:
        """Evaluate expectations in one graph of metrics; set `rows`."""
        questions = [self._question(expectation) for expectation in expectations]
        wanted = {metric.id: metric for question in questions for metric in question.metrics.values()}
        row_count = self._metric("table.row_count", {}, {})
        wanted[row_count.id] = row_count
        resolved, aborted = self._resolve(list(wanted.values()), is_first=True)
        self.rows = int(resolved.get(row_count.id, 0))
        return [self._judge(question, resolved, aborted) for question in questions]

    def fetch_details(self, bound: Any, outcome: _Evaluated) -> None:
        """Fetch what the first evaluation of a failed row-wise expectation left out: sample values."""
        question = self._question(bound, _DETAILS)
        resolved, aborted = self._resolve(list(question.metrics.values()))
        detailed = self._judge(question, resolved, aborted)
        if not detailed.error:
            outcome.validation = detailed.validation

    def _resolve(self, metrics: list[Any], *, is_first: bool = False) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
        """Return the metrics that could be computed, and why others were aborted, both by the metric's id."""
        graph = self._calculator.build_metric_dependency_graph(metrics)
        if is_first:
            self._engine.fetch(graph)
        graph = self._engine.without_answered(metrics)
        # Not compute_metrics, which logs the tracebacks of aborted metrics over many lines.
        resolved, aborted = self._calculator.resolve_validation_graph(graph)
        return resolved, aborted

    def _judge(self, question: _Question, resolved: Mapping[Any, Any], aborted: Mapping[Any, Any]) -> _Evaluated:
        from great_expectations.core import ExpectationValidationResult

        error, validation = question.error or _abortion(question.metrics, resolved, aborted), None
        if not error:
            try:
                validation = question.expectation.metrics_validate(
                    metrics=resolved,
                    execution_engine=self._engine,
                    runtime_configuration={"result_format": dict(question.result_format), "catch_exceptions": False},
                )
            except Exception as raised:  # noqa: BLE001 - its code may raise anything, and none of it is a pass
                error = _as_error(raised)
        if validation is None:
            validation = ExpectationValidationResult(
                success=False,
                expectation_config=question.expectation.configuration,
                result={},
                exception_info={"raised_exception": True, "exception_message": error, "exception_traceback": ""},
            )
        outcome = _Evaluated(validation, question.is_row_wise, error=" ".join(error.split()))
        if question.is_row_wise and not error:
            _count_rows(outcome, question, resolved)
        return outcome

    def _question(self, expectation: Any, result_format: Mapping[str, Any] | None = None) -> _Question:
        """Find the metrics that an expectation needs; by default only those for pass or fail if it is row-wise."""
        requested = result_format or _BOOLEAN_ONLY
        try:
            needed = expectation.get_validation_dependencies(
                execution_engine=self._engine, runtime_configuration={"result_format": dict(requested)}
            )
        except Exception as raised:  # noqa: BLE001 - its code may raise anything, and none of it is a pass
            return _Question(expectation, requested, {}, _as_error(raised))
        question = _Question(expectation, requested, dict(needed.metric_configurations))
        return question if question.is_row_wise or result_format else self._question(expectation, _DETAILS)

    def offending_rows(self, expectation: Any, declared: Expectation, places: Places | None) -> pa.Table:
        """Return the rows that it does not allow; see `contracts/offending.py`."""
        from great_expectations.expectations.registry import get_metric_kwargs

        from pipeline.contracts.engine import domain_of

        name = f"{expectation.map_metric}.condition"
        kwargs = get_metric_kwargs(metric_name=name, configuration=expectation.configuration)
        metric = self._metric(name, kwargs["metric_domain_kwargs"], kwargs["metric_value_kwargs"])
        condition, compute, accessor = self._calculator.get_metric(metric)
        rows = self._engine.get_domain_records(domain_kwargs=domain_of(compute, accessor))
        columns = [declared.column] if isinstance(declared.column, str) else declared.column or []
        return offending_rows(rows, condition, columns, places)

    @staticmethod
    def _metric(name: str, domain: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        from great_expectations.validator.metric_configuration import MetricConfiguration

        return MetricConfiguration(metric_name=name, metric_domain_kwargs=domain, metric_value_kwargs=values)


def _as_error(raised: Exception) -> str:
    return f"{type(raised).__name__}: {raised}"


def _abortion(metrics: Mapping[str, Any], resolved: Mapping[Any, Any], aborted: Mapping[Any, Any]) -> str:
    """Return why a metric is missing, or "" if none is."""
    missing = [metric for metric in metrics.values() if metric.id not in resolved]
    if not missing:
        return ""
    causes = {cause for metric in missing for cause in _causes(metric, aborted)}
    return "; ".join(sorted(causes)) or f"metric {missing[0].metric_name} was not computed"


def _causes(metric: Any, aborted: Mapping[Any, Any]) -> set[str]:
    # Of a metric that was aborted, or of those below it that were.
    found = {aborted[metric.id]["exception_info"].exception_message} if metric.id in aborted else set()
    for below in metric.metric_dependencies.values():
        found |= _causes(below, aborted)
    return found


def _count_rows(outcome: _Evaluated, question: _Question, resolved: Mapping[Any, Any]) -> None:
    map_metric = question.expectation.map_metric

    def value(name: str) -> int:
        found = resolved[question.metrics[name].id] if name in question.metrics else 0
        return int(found or 0)  # Spark's sum over no rows is null

    rows, unexpected = value("table.row_count"), value(f"{map_metric}.unexpected_count")
    if f"{map_metric}.filtered_row_count" in question.metrics:
        evaluated = value(f"{map_metric}.filtered_row_count")
    else:  # nulls are skipped, except by the expectations about nulls
        is_about_nulls = map_metric in ("column_values.nonnull", "column_values.null")
        evaluated = rows - (0 if is_about_nulls else value("column_values.nonnull.unexpected_count"))
    outcome.unexpected_rows, outcome.evaluated_rows = unexpected, evaluated
    if not outcome.validation.result and evaluated:
        # BOOLEAN_ONLY leaves the counts out of the result; the metrics have them, and the documents show them.
        outcome.validation.result = {
            "element_count": rows,
            "unexpected_count": unexpected,
            "unexpected_percent": 100 * unexpected / evaluated,
            "partial_unexpected_list": [],
        }


def _result(declared: Expectation, outcome: _Evaluated, **offending: Any) -> ExpectationResult:
    from great_expectations.util import convert_to_json_serializable

    if outcome.error:
        return expectation_result(declared, "error", error=outcome.error)
    judged: ExpectationOutcome = "pass" if outcome.success else "fail"
    if outcome.is_row_wise:
        observed = f"{outcome.unexpected_rows} of {outcome.evaluated_rows} rows unexpected"
        return expectation_result(declared, judged, observed, unexpected_rows=outcome.unexpected_rows, **offending)
    is_ordered = "set" not in declared.type.split("_")
    result = stable(convert_to_json_serializable(dict(outcome.validation.result)), is_ordered=is_ordered)
    outcome.validation.result = result  # so that the documents show the same figures in the same order
    details = {} if outcome.success else {k: v for k, v in (result.get("details") or {}).items() if v}
    return expectation_result(declared, judged, result.get("observed_value"), details=details)


def _first_problem(kind: Any, problems: Sequence[Mapping[str, Any]]) -> str:
    # An unknown argument explains a missing one (a misspelling): report it first.
    problem = next((p for p in problems if p["type"] == "value_error.extra"), problems[0])
    argument = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "value_error.extra":
        common = {"id", "meta", "notes", "description", "rendered_content", "severity", "windows", "batch_id"}
        valid = set(kind.__fields__) - common - {"result_format", "catch_exceptions", "condition_parser"}
        return f"unknown argument '{argument}'{nearest(argument, valid)}"
    if problem["type"] == "value_error.missing":
        return f"argument '{argument}' is missing"
    return f"{problem['msg']}" if argument == "__root__" else f"argument '{argument}': {problem['msg']}"
