"""Holds a data set against its contract: the part that both contract stages share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.contracts import checking, documents
from pipeline.contracts.suites import Suite
from pipeline.contracts.verdicts import CheckResult
from pipeline.execution import SparkSettings
from pipeline.progress import Progress
from pipeline.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def hold(
    suite: Suite,
    table: Callable[[SparkSession], DataFrame],
    *,
    data_digest: str,
    out: Path,
    spark: SparkSettings,
    progress: Progress,
) -> CheckResult:
    """Check a table against a suite and publish what came of it as the folder `out`, kept or not.

    Raises UsageError if an expectation's arguments are wrong, ContractError, after publishing, if the contract is not
    kept.
    """
    import pyspark.sql  # before the thread below, which imports it too  # noqa: F401

    progress.step("starting Spark and Great Expectations")
    # Importing Great Expectations keeps Python busy for seconds while the JVM starts: side by side.
    with ThreadPoolExecutor(1) as aside:
        binding = aside.submit(checking.bind, suite)
        with spark_session(spark, suite.name) as session:
            expectations = binding.result()
            progress.step(f"checking {len(expectations)} expectations")
            checked = checking.check(table(session), suite, expectations, data_digest)
    progress.step("writing the documents")
    with artifacts.published_folder(out) as folder:
        documents.write(folder, checked)
    checked.result.require_pass(out / documents.RESULTS_PAGE)
    return checked.result
