"""What the server of a run must know of each stage: what its process finds ready, what is made ready while it works."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.graph import Graph, Stage
from pipeline.recipe.execution import Execution
from pipeline.runtime import spark
from pipeline.runtime.warm.server import PLAIN, SPARK

_OF_ALL = ("yaml", "pydantic")  # every stage imports these


def plan(root: Path, graph: Graph, execution: Execution) -> dict[str, dict[str, Any]]:
    """Return the plan for the stages of a graph in the folder `root`, as the server reads it."""
    jvm = spark.wanted_jvm(execution.spark, root)
    return {
        stage.name: {
            "parent": _parent(stage),
            "libraries": [*_OF_ALL, *stage.warm.libraries] if stage.warm.libraries else [],
            "optional": stage.warm.optional,
            "jvm": jvm if stage.warm.spark == "shared" else None,
            "ahead": [stage.warm.ahead] if stage.warm.ahead else [],
            "alone": stage.warm.alone,
            "is_past_spark": graph.is_past_spark(stage.name, at_end=False),
            "is_last_of_spark": stage.warm.spark == "shared" and graph.is_past_spark(stage.name, at_end=True),
        }
        for stage in graph.stages
    }


def needed_first(likely: Iterable[Stage]) -> list[str]:
    """Return the stages whose needs are made ready when a run begins, of those that are likely to run, in their order.

    All have one parent, that of Spark if any does, since those come first; none comes after a stage that works alone.
    """
    first = [stage for stage in itertools.takewhile(lambda one: not one.warm.alone, likely) if stage.warm.libraries]
    of_spark = [stage.name for stage in first if _parent(stage) == SPARK]
    return of_spark or [stage.name for stage in first]


def _parent(stage: Stage) -> str:
    return PLAIN if stage.warm.spark is None else SPARK
