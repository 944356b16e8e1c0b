"""Great Expectations' Spark engine, with fewer passes over the table. Every metric keeps its meaning and its value.

Theirs aggregates as soon as some metrics are ready, once for each spelling of the same domain, and counts duplicates
with a window, which sorts. This one first resolves everything else, aggregates once, and counts duplicates by hashing.
It imports Great Expectations at its top: import it in the functions that use it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from great_expectations.core.id_dict import IDDict
from great_expectations.core.metric_function_types import MetricFunctionTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.metrics import ColumnValuesUnique, CompoundColumnsUnique
from great_expectations.expectations.registry import get_metric_provider, register_metric
from pyspark.sql import DataFrame, functions

_DISTINCT_COUNT = "column.distinct_values.count"


class SparkEngine(SparkDFExecutionEngine):  # type: ignore[misc]
    """Resolves the metrics of one table."""

    def resolve_metrics(self, metrics_to_resolve: Iterable[Any], *arguments: Any, **named: Any) -> Any:
        """Postpone aggregates until nothing else can be resolved, so that all of them become one aggregation."""
        wanted = list(metrics_to_resolve)
        direct = [metric for metric in wanted if get_metric_provider(metric.metric_name, self)[1] is not None]
        return super().resolve_metrics(direct or wanted, *arguments, **named)

    def resolve_metric_bundle(self, metric_fn_bundle: Iterable[Any]) -> Any:
        """Compute aggregates over the same rows together, whether their domain's keys are absent or null.

        Distinct counts are computed separately: in one aggregation with others, Spark would group by their values to
        compute all of them.
        """
        entries = [dataclasses.replace(entry, compute_domain_kwargs=_domain(entry)) for entry in metric_fn_bundle]
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
