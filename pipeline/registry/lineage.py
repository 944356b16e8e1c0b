"""Where a model comes from, as digests in the tags of its version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.records.computed_on import ComputedOn
from pipeline.records.digests import digest_json
from pipeline.records.manifest import MANIFEST_FILE
from pipeline.records.metrics import MetricsReport
from pipeline.records.origin import Origin
from pipeline.registry.versions import (
    COMPUTED_ON,
    DAG,
    DAG_RUN,
    DEVICE,
    MISSING,
    PHOTOGRAPH,
    PREFIX,
    RUN,
    RUN_ADDRESS,
    THRESHOLD,
    UNIT,
)
from pipeline.runtime.git import Commit
from pipeline.storage.artifacts import digest_file
from pipeline.storage.manifests import read_manifest

_EVEN = 0.5  # at which the likelier class is taken, as without a threshold


def lineage_tags(
    *,
    recipe: Mapping[str, Any],
    data: Path,
    requirements: Path,
    lock_digest: str | None,
    commit: Commit | None,
    computed_on: Sequence[ComputedOn] = (),
    origin: Origin | None = None,
    answers: MetricsReport | None = None,
) -> dict[str, str]:
    """Return the tags that say which recipe, data, code and packages a model came from; `none` for what is missing.

    `data` is the folder that holds the prepared parts, `requirements` the lock file of the packages, `lock_digest` a
    digest of what DVC has recorded about the earlier stages. `computed_on` is what trained it: device, processor and
    versions. `origin` adds the run, the photograph of its inputs, and Airflow's names and page of the run; `answers`
    the unit of what the model answers, and what was learned on the validation part to read it by: `threshold`.
    """
    values = {
        "recipe_digest": digest_json(recipe),
        "data_digest": _data_digest(data),
        "dvc_lock_digest": lock_digest or MISSING,
        "requirements_digest": digest_file(requirements) if requirements.is_file() else MISSING,
        "git_commit": commit.digest if commit else MISSING,
        "git_dirty": _dirty(commit),
        DEVICE.removeprefix(PREFIX): ", ".join(dict.fromkeys(one.device for one in computed_on)) or MISSING,
        COMPUTED_ON.removeprefix(PREFIX): json.dumps([one.to_json() for one in computed_on], sort_keys=True),
    }
    tags = {PREFIX + key: value for key, value in values.items()} | _of_recipe(recipe)
    return {**tags, **(_of_run(origin) if origin else {}), **(_of_answers(answers) if answers else {})}


def _of_recipe(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return the tag of a threshold that the recipe sets itself: who serves the model has to read its answers by it."""
    task = recipe.get("task")
    given = task.get("settings", {}).get("threshold") if isinstance(task, Mapping) else None
    return {THRESHOLD: f"{given:.9g}"} if isinstance(given, float) and given != _EVEN else {}


def _of_answers(report: MetricsReport) -> dict[str, str]:
    unit = report.units.get(report.primary)
    learned = {PREFIX + name: f"{value:.9g}" for name, value in report.learned.items()}
    return {**({UNIT: unit} if unit else {}), **learned}


def _of_run(origin: Origin) -> dict[str, str]:
    known = {
        RUN: origin.run,
        PHOTOGRAPH: origin.photograph,
        DAG: origin.dag_id,
        DAG_RUN: origin.dag_run_id,
        RUN_ADDRESS: origin.address,
    }
    return {tag: value for tag, value in known.items() if value}


def _dirty(commit: Commit | None) -> str:
    if commit is None:
        return MISSING
    return "unknown" if commit.is_dirty is None else str(commit.is_dirty).lower()


def _data_digest(data: Path) -> str:
    parts = sorted(path.parent for path in data.glob(f"*/{MANIFEST_FILE}"))
    if not parts:
        return MISSING
    return digest_json({part.name: read_manifest(part, verify=False).digest for part in parts})
