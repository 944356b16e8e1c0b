"""A stage can open only what dvc.yaml declares for it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from pipeline.errors import Bug
from pipeline.graph import Stage
from pipeline.recipe.execution import Execution
from pipeline.recipe.recipe import TrainParams, load_recipe
from pipeline.stages.context import StageContext

ROOT = Path(__file__).parents[2]


@pytest.fixture
def context() -> StageContext:
    stage = Stage("train", "x", deps=("data/in",), outs=("models/out",), params=("train", "seed"), volatile=("logs",))
    return StageContext(ROOT, stage, load_recipe(ROOT), Execution())


def test_what_is_declared_is_given(context: StageContext) -> None:
    assert context.dep("data/in") == ROOT / "data/in"
    assert context.dep("data/in/part") == ROOT / "data/in/part"
    assert context.out("models/out") == ROOT / "models/out"
    assert context.volatile("logs/x") == ROOT / "logs/x"
    assert context.param("train", TrainParams).epochs > 0
    assert context.param("train.epochs", int) > 0


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda c: c.dep("data/other"), "data/other: add it under deps of stage train in dvc.yaml"),
        (lambda c: c.dep("data/input"), "data/input: add it under deps"),
        (lambda c: c.dep("models/out"), "models/out: add it under deps"),
        (lambda c: c.out("data/in"), "data/in: add it under outs"),
        (lambda c: c.volatile("models/out"), "add it under meta: volatile"),
        (lambda c: c.param("gate.minimum", object), "'gate.minimum': add it under params of stage train"),
        (lambda c: c.param("training", object), "'training': add it under params"),
    ],
)
def test_what_is_not_declared_fails_and_names_the_line_to_add(context: StageContext, ask: object, line: str) -> None:
    with pytest.raises(Bug) as caught:
        ask(context)  # type: ignore[operator]
    assert line in str(caught.value)


def test_code_that_was_used_but_not_declared_fails(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pipeline.models.secret")
    module.__file__ = str(ROOT / "pipeline" / "models" / "secret.py")
    for name in [name for name in sys.modules if name.startswith("pipeline.")]:
        monkeypatch.delitem(sys.modules, name)
    context.check_imports()
    monkeypatch.setitem(sys.modules, "pipeline.models.secret", module)
    with pytest.raises(Bug, match=r"used pipeline/models/secret\.py: add it under deps of stage train in dvc\.yaml"):
        context.check_imports()
