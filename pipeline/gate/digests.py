"""By what a verdict was given, as digests: what decides it besides the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.recipe.recipe import RULE, GateParams
from pipeline.recipe.task import Task
from pipeline.records.digests import digest_json

if TYPE_CHECKING:
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


def test_digest(ids: Sequence[str], labels: npt.NDArray[Any], slices: Mapping[str, Sequence[str]]) -> str:
    """Return the digest of the test rows: their ids, labels and, if any are declared, slices, in their order."""
    declared = [{name: list(texts) for name, texts in slices.items()}] if slices else []
    return digest_json([list(ids), labels.tolist(), *declared])
