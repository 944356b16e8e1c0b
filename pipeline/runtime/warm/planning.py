"""What the server of a run must know of each stage: what its process finds ready, what is made ready while it works."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.graph import Graph, Stage
from pipeline.recipe.execution import Execution
from pipeline.runtime import spark
from pipeline.runtime.warm.server import PLAIN, SHARED, SPARK

_OF_ALL = ("yaml", "pydantic")  # every stage imports these


def plan(root: Path, graph: Graph, execution: Execution) -> dict[str, dict[str, Any]]:
    """Return the plan for the stages of a graph in the folder `root`, as the server reads it."""
    jvm = spark.wanted_jvm(execution.spark, root)

    def ready(stage: Stage) -> dict[str, Any]:
        libraries = [*_OF_ALL, *stage.warm.libraries] if stage.warm.libraries else []
        return {"parent": PLAIN if stage.warm.spark is None else SPARK, "libraries": libraries}

    def made_ready(stage: Stage) -> dict[str, Any]:
        libraries = [*_OF_ALL, *stage.warm.libraries, *stage.warm.optional]
        return {**ready(stage), "libraries": libraries, "jvm": jvm if stage.warm.spark == SHARED else None}

    return {
        stage.name: {
            **ready(stage),
            "spark": stage.warm.spark,
            "may_be_forked": bool(stage.warm.libraries or stage.warm.optional),
            "ahead": made_ready(graph[stage.warm.ahead]) if stage.warm.ahead else None,
            "alone": stage.warm.alone,
            "is_past_spark": graph.is_past_spark(stage.name, at_end=False),
            "is_last_of_spark": graph.is_past_spark(stage.name, at_end=True) and stage.warm.spark == SHARED,
        }
        for stage in graph.stages
    }


def first_needed(root: Path, graph: Graph, execution: Execution, likely: Sequence[Stage]) -> dict[str, Any] | None:
    """Return what is to be made ready at the beginning of a run in which these stages are likely to run, in order.

    None if they need nothing before one of them works alone.
    """
    planned = plan(root, graph, execution)
    first = list(itertools.takewhile(lambda stage: not stage.warm.alone, likely))
    for parent in (SPARK, PLAIN):
        of_parent = [planned[s.name] for s in first if s.warm.libraries and planned[s.name]["parent"] == parent]
        if of_parent:
            libraries = list(dict.fromkeys(name for each in of_parent for name in each["libraries"]))
            shared = any(each["spark"] == SHARED for each in of_parent)
            jvm = spark.wanted_jvm(execution.spark, root) if shared else None
            return {"parent": parent, "libraries": libraries, "jvm": jvm}
    return None
