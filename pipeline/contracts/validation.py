"""Validates a data set against its contract; shared by both contract stages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contracts import checking, documents
from pipeline.contracts.offending import Places
from pipeline.contracts.results import require_pass
from pipeline.contracts.suites import Suite
from pipeline.errors import DataError
from pipeline.recipe.execution import SparkSettings
from pipeline.records.contract_result import ContractResult
from pipeline.runtime.progress import Progress
from pipeline.runtime.spark import spark_session
from pipeline.storage import artifacts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def validate(
    suite: Suite,
    table: Callable[[SparkSession], DataFrame],
    *,
    rows: int,
    data_digest: str,
    out: Path,
    spark: SparkSettings,
    progress: Progress,
    places: Places | None = None,
) -> ContractResult:
    """Check a table against a suite and publish the outcome as the folder `out`, whether the contract holds or not.

    `rows` are those that the manifests say; `places` finds the files of rows in a table without them. Raises UsageError
    if an expectation's arguments are wrong; DataError if Spark has read other rows; ContractError, after publishing, if
    the contract does not hold.
    """
    # Importing Great Expectations and starting the JVM both take seconds: do them in parallel.
    with ThreadPoolExecutor(1) as aside, ExitStack() as started:
        with progress.starting("Spark and Great Expectations"):
            import pyspark.sql  # before the thread, which imports it too  # noqa: F401

            binding = aside.submit(checking.bind, suite)
            session = started.enter_context(spark_session(spark, suite.name))
            expectations = binding.result()
        progress.step(f"checking {len(expectations)} expectations")
        checked = checking.check(table(session), suite, expectations, data_digest, places)
    if checked.result.rows not in (0, rows):  # none is what the contract fails for, and says why
        raise DataError(f"{suite.name}: Spark has read {checked.result.rows} rows, the manifests say {rows}")
    progress.step("writing the documents")
    with artifacts.published_folder(out) as folder:
        documents.write(folder, checked)
    require_pass(suite, checked.result, out / documents.RESULTS_PAGE)
    return checked.result
