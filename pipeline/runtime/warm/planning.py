"""What the server of a run must know of each stage: what its process finds ready, what is made ready while it works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.graph import Stage, load_graph
from pipeline.recipe.execution import load_execution
from pipeline.runtime import spark
from pipeline.runtime.warm.server import PLAIN, SHARED, SPARK

_OF_ALL = ("yaml", "pydantic")  # every stage imports these


def plan(root: Path) -> dict[str, dict[str, Any]]:
    """Return the plan for the stages of a graph, as the server reads it."""
    graph, jvm = load_graph(root), spark.wanted_jvm(load_execution(root).spark)

    def ready(stage: Stage) -> dict[str, Any]:
        libraries = [*_OF_ALL, *stage.warm.libraries] if stage.warm.libraries else []
        return {"parent": PLAIN if stage.warm.spark is None else SPARK, "libraries": libraries}

    def ahead(stage: Stage) -> dict[str, Any] | None:
        if stage.warm.ahead is None:
            return None
        later = graph[stage.warm.ahead]
        libraries = [*ready(later)["libraries"], *later.warm.optional]
        return {**ready(later), "libraries": libraries, "jvm": jvm if later.warm.spark == SHARED else None}

    return {
        stage.name: {
            **ready(stage),
            "spark": stage.warm.spark,
            "ahead": ahead(stage),
            "is_past_spark": graph.is_past_spark(stage.name, at_end=False),
            "is_last_of_spark": graph.is_past_spark(stage.name, at_end=True) and stage.warm.spark == SHARED,
        }
        for stage in graph.stages
    }
