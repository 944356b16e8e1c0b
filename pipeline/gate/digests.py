"""By what a verdict was given, as digests: what decides it besides the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.recipe.recipe import RULE, GateParams
from pipeline.recipe.task import Task
from pipeline.records.digests import digest_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# What turns answers into a verdict: who changes it may get another verdict on the same models and rows.
JUDGES = ("pipeline/gate", "pipeline/evaluation", "pipeline/recipe/task.py")


def rule_digest(gate: GateParams, task: Task, seed: int, code: Mapping[str, str]) -> str:
    """Return the digest of all that the recipe says of the gate, every default written out, and of what reads it.

    `code` has the digest of each file of `JUDGES`, by path.
    """
    settings = RULE.settings(gate.rule, "gate.rule").model_dump(mode="json")
    rule = {**gate.model_dump(mode="json"), "rule": {"name": gate.rule.name, "settings": settings}}
    return digest_json({"gate": rule, "task": task.choice.model_dump(mode="json"), "seed": seed, "code": dict(code)})


def test_digest(ids: Sequence[str], labels: npt.NDArray[np.int32]) -> str:
    """Return the digest of the test rows: their ids and labels, in their order."""
    return digest_json([list(ids), labels.tolist()])
