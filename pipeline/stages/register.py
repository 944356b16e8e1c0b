"""Stage register: publishes the candidate when the verdict lets it, and records it when it does not."""

from __future__ import annotations

import json
from typing import Any

from pipeline import artifacts
from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.params import load_recipe
from pipeline.registry import records
from pipeline.registry.actor import Actor
from pipeline.registry.gate import Verdict
from pipeline.registry.publish import Candidate, Description, register
from pipeline.registry.store import resolve_store
from pipeline.stages.context import StageContext

_EXAMPLE_ROWS = 4


def run(stage: StageContext) -> str:
    """Bring the registry to what the verdict says and write `reports/registration.json`; return what happened."""
    folder, verdict_path = stage.dep("models/candidate"), stage.dep("reports/verdict.json")
    verdict = Verdict.from_json(artifacts.read_json(verdict_path), str(verdict_path))
    if stored.digest(folder) != verdict.candidate:
        raise DataError(
            f"{verdict_path}: judges another model than models/candidate; run `dvc repro` to judge this one"
        )
    registration = register(
        resolve_store(stage.root, stage.execution.mlflow),
        Candidate(stage.param("name", str), folder, verdict, describe=lambda: _describe(stage)),
        Actor.here(),
        scratch=stage.volatile("reports/registration.json").with_name(".registration.partial"),
        announce=stage.progress.step,
    )
    artifacts.write_json(stage.volatile("reports/registration.json"), registration.to_json())
    return f"{registration.name} {registration.sentence}"


def _describe(stage: StageContext) -> Description:
    from pipeline import shards
    from pipeline.registry.lineage import lineage_tags

    recipe = load_recipe(stage.root)
    report = artifacts.read_json(stage.dep("reports/metrics.json"))
    figures = {**report.get("test", {}), "overfit": report.get("overfit")}
    metrics = {key: float(value) for key, value in figures.items() if isinstance(value, int | float)}
    tags = lineage_tags(stage.root, recipe, stage.dep("data/prepared"), stage=stage.name)
    test = stage.dep("data/prepared/test")
    shape = shards.image_shape(artifacts.read_manifest(test, verify=False))
    first = next(shards.iter_tables(test, ["pixels"], verify=False))
    return Description(
        tags={**tags, records.METRICS: json.dumps(metrics)},
        metrics=metrics,
        recipe=_flat(recipe.model_dump(mode="json")),
        example=shards.pixels_of(first["pixels"], shape)[:_EXAMPLE_ROWS],
    )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings by dotted key, as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: str(value)}
    return flat
