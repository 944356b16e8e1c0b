"""What the tests that run the real thing share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark for all tests of this folder that only need a session: starting it takes seconds."""
    with spark_session(SparkSettings(), "tests") as session:
        yield session
