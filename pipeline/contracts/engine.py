"""Great Expectations' Spark engine, with fewer passes over the table. Every metric keeps its meaning and its value.

Theirs aggregates as soon as some metrics are ready, once for each spelling of the same domain, and counts duplicates
with a window, which sorts. This one first resolves everything else, aggregates once, and counts duplicates by hashing.
Of a small table it fetches what the commonest metrics count, in one job (`values.py`); they then need none of their
own, nor the dozens of calls into the JVM that their expressions take.
It imports Great Expectations at its top: import it in the functions that use it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import pandas
from great_expectations.constants import MAX_DISTINCT_VALUES
from great_expectations.core.id_dict import IDDict
from great_expectations.core.metric_function_types import MetricFunctionTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.metrics import ColumnValuesUnique, CompoundColumnsUnique
from great_expectations.expectations.registry import get_metric_provider, register_metric
from great_expectations.validator.validation_graph import MetricEdge, ValidationGraph
from pyspark.sql import DataFrame, functions
from pyspark.sql.types import DataType

from pipeline.contracts.conditions import is_of_type, unexpected_rows
from pipeline.contracts.values import SmallTable, fetch

_ROW_COUNT = "table.row_count"
_DISTINCT_COUNT, _DISTINCT_VALUES = "column.distinct_values.count", "column.distinct_values"
_VALUE_COUNTS = "column.value_counts"
_UNIQUE, _COMPOUND_UNIQUE = "column_values.unique.unexpected_count", "compound_columns.unique.unexpected_count"
_COMPOUND_ROWS = "compound_columns.unique.filtered_row_count"
_MISSING_COUNT = "column.distinct_values.missing_from_column.count"
_MISSING_VALUES = "column.distinct_values.missing_from_column"
_OF_VALUES = frozenset(
    {
        _DISTINCT_COUNT,
        _DISTINCT_VALUES,
        _VALUE_COUNTS,
        _MISSING_COUNT,
        _MISSING_VALUES,
        _UNIQUE,
        _COMPOUND_UNIQUE,
        _COMPOUND_ROWS,
    }
)
_MEAN = "column.mean"
_UNEXPECTED_COUNT = ".unexpected_count"


class SparkEngine(SparkDFExecutionEngine):  # type: ignore[misc]
    """Resolves the metrics of one table."""

    _fetched: SmallTable | None = None
    _answers: dict[Any, Any]  # by the metric's id; None if only Spark can tell

    def fetch(self, graph: ValidationGraph) -> None:
        """Fetch what the metrics of a graph count, if the table is small."""
        metrics = list({edge.left.id: edge.left for edge in graph.edges}.values())
        columns = {name for metric in metrics if metric.metric_name in _OF_VALUES for name in _columns(metric)}
        averaged = {name for metric in metrics if metric.metric_name == _MEAN for name in _columns(metric)}
        conditions = {sql for metric in metrics if (sql := self._condition(metric))}
        try:
            self._fetched = fetch(self.dataframe, sorted(columns), sorted(conditions), sorted(averaged))
        except Exception:  # noqa: BLE001 - what cannot be evaluated fails the metrics that need it, one by one
            self._fetched = None
        self._answers = {}

    def without_answered(self, wanted: Iterable[Any]) -> ValidationGraph:
        """Return the graph of these metrics, without what only those depend on that are answered without Spark.

        Their dependencies must have been found by building a graph of them.
        """
        edges: dict[Any, MetricEdge] = {}
        waiting, seen = list(wanted), set()
        while waiting:
            metric = waiting.pop()
            if metric.id in seen:
                continue
            seen.add(metric.id)
            below = [] if self._answer(metric) is not None else list(metric.metric_dependencies.values())
            for edge in [MetricEdge(metric, each) for each in below] or [MetricEdge(metric)]:
                edges[edge.id] = edge
            waiting += below
        return ValidationGraph(execution_engine=self, edges=list(edges.values()))

    def _answer(self, metric: Any) -> Any:
        """Return the metric's value as the fetched table tells it, or None if only Spark can."""
        if self._fetched is None or not _is_about_all_rows(metric):
            return None
        if metric.id not in self._answers:
            self._answers[metric.id] = self._told(metric, self._fetched)
        return self._answers[metric.id]

    def _told(self, metric: Any, table: SmallTable) -> Any:
        name = metric.metric_name
        if name == _ROW_COUNT:
            return table.rows
        if name == _MEAN:
            return table.means.get(_columns(metric)[0])
        if name in _OF_VALUES:
            return self._of_values(metric, table) if table.holds(_columns(metric)) else None
        return table.conditions.get(self._condition(metric) or "")

    def _of_values(self, metric: Any, table: SmallTable) -> Any:
        columns, name, asked = _columns(metric), metric.metric_name, metric.metric_value_kwargs
        if name == _DISTINCT_COUNT:
            return table.distinct(columns[0])
        if name == _DISTINCT_VALUES:
            return set(table.counts(columns[0]))
        if name == _VALUE_COUNTS:
            is_by_value = (asked.get("sort") or "value") == "value" and asked.get("collate") is None
            return _series(table.counts(columns[0])) if is_by_value else None
        if name in (_MISSING_COUNT, _MISSING_VALUES):
            values, found = asked.get("value_set"), table.counts(columns[0])
            if not is_of_type(values, self._types[columns[0]]):
                return None
            if name == _MISSING_COUNT:
                return len(values) - len(found.keys() & set(values))
            return [value for value in values if value not in found][: asked.get("limit") or MAX_DISTINCT_VALUES]
        ignored = "any_value_is_missing" if name == _UNIQUE else _domain_of(metric).get("ignore_row_if", "never")
        count = table.compared_rows if name == _COMPOUND_ROWS else table.duplicated_rows
        return count(columns, ignored)

    def _condition(self, metric: Any) -> str | None:
        """Return in SQL which rows the metric counts, if it counts rows and is one that `conditions` knows."""
        columns, name = _columns(metric), metric.metric_name
        if not name.endswith(_UNEXPECTED_COUNT) or len(columns) != 1 or not _is_about_all_rows(metric):
            return None
        kind = self._types.get(columns[0])
        arguments = {key: value for key, value in metric.metric_value_kwargs.items() if key != "result_format"}
        if kind is None:
            return None
        return unexpected_rows(name.removesuffix(_UNEXPECTED_COUNT), columns[0], arguments, kind)

    @functools.cached_property
    def _types(self) -> dict[str, DataType]:
        return {field.name: field.dataType for field in self.dataframe.schema.fields}

    def resolve_metrics(self, metrics_to_resolve: Iterable[Any], *arguments: Any, **named: Any) -> Any:
        """Postpone aggregates until nothing else can be resolved, so that all of them become one aggregation."""
        wanted = list(metrics_to_resolve)
        answered = {metric.id: value for metric in wanted if (value := self._answer(metric)) is not None}
        if answered:
            return answered
        direct = [metric for metric in wanted if get_metric_provider(metric.metric_name, self)[1] is not None]
        return super().resolve_metrics(direct or wanted, *arguments, **named)

    def resolve_metric_bundle(self, metric_fn_bundle: Iterable[Any]) -> Any:
        """Compute aggregates over the same rows together, whether their domain's keys are absent or null.

        Distinct counts are computed separately: in one aggregation with others, Spark would group by their values to
        compute all of them.
        """
        entries = [dataclasses.replace(entry, compute_domain_kwargs=_domain(entry)) for entry in metric_fn_bundle]
        # In the same order each time: Spark keeps what it compiled for the same expressions.
        entries.sort(key=lambda entry: str(entry.metric_configuration.id))
        distinct = [entry for entry in entries if entry.metric_configuration.metric_name == _DISTINCT_COUNT]
        resolved = super().resolve_metric_bundle(
            [entry for entry in entries if entry.metric_configuration.metric_name != _DISTINCT_COUNT]
        )
        for entry in distinct:
            resolved.update(super().resolve_metric_bundle([entry]))
        return resolved


def domain_of(compute: dict[str, Any], accessor: dict[str, Any]) -> dict[str, Any]:
    """Return the domain of a row-wise metric; one about several columns selects rows by the accessor too."""
    return compute if "column" in accessor else {**compute, **accessor}


def _domain(entry: Any) -> IDDict:
    return IDDict({key: value for key, value in (entry.compute_domain_kwargs or {}).items() if value is not None})


def _domain_of(metric: Any) -> dict[str, Any]:
    return {key: value for key, value in metric.metric_domain_kwargs.items() if value is not None}


def _is_about_all_rows(metric: Any) -> bool:
    return set(_domain_of(metric)) <= {"column", "column_list", "ignore_row_if", "batch_id"}


def _columns(metric: Any) -> Sequence[str]:
    domain = _domain_of(metric)
    return [domain["column"]] if "column" in domain else list(domain.get("column_list", ()))


def _series(counts: dict[Any, int]) -> Any:
    """Return what Great Expectations' own metric returns: counts, indexed by value."""
    return pandas.Series(list(counts.values()), index=pandas.Index(list(counts), name="value"), name="count")


def _count_duplicates(cls: type, execution_engine: SparkEngine, metrics: dict[str, Any], **_: Any) -> int:  # noqa: ARG001
    """Return how many rows share their value with another row."""
    _condition, compute, accessor = metrics["unexpected_condition"]
    columns = [accessor["column"]] if "column" in accessor else list(accessor["column_list"])
    rows: DataFrame = execution_engine.get_domain_records(domain_kwargs=domain_of(compute, accessor))
    groups = rows.groupBy(*columns).agg(functions.count(functions.lit(1)).alias("__rows"))
    return int(groups.filter("__rows > 1").agg(functions.sum("__rows")).collect()[0][0] or 0)


for _metric, _provider in (
    ("column_values.unique.unexpected_count", ColumnValuesUnique),
    ("compound_columns.unique.unexpected_count", CompoundColumnsUnique),
):
    register_metric(
        metric_name=_metric,
        metric_domain_keys=_provider.condition_domain_keys,
        metric_value_keys=(),
        execution_engine=SparkEngine,
        metric_class=_provider,
        metric_provider=_count_duplicates,
        metric_fn_type=MetricFunctionTypes.VALUE,
    )
