"""Recipes for the tests of tasks: that of the project, for two classes, with some of it replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.recipe.settings import merge

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ["cat", "dog"]


def recipe(**changes: Any) -> dict[str, Any]:
    """Return the plain values of a recipe; of the gate's bounds only those that are given, or one that holds."""
    values = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    values["data"]["classes"] = CLASSES
    values["gate"] |= {
        "minimum": {"accuracy": 0.6},
        "maximum": {},
        "rule": changes.get("gate", {}).get("rule", "better"),
    }
    for key in ("minimum", "maximum"):
        if key in changes.get("gate", {}):
            values["gate"][key] = {}
    return merge(values, changes)
