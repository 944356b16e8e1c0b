"""The task of numbers: which recipes it takes, and what its score is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.recipe.fitting import require_fit
from pipeline.recipe.recipe import LOSS, RULE, TASK, Recipe
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import validate
from pipeline.recipe.slots import Choice, choices
from pipeline.recipe.task import Slices, task_of
from tests.evaluation.recipes import recipe

GATE = {
    "minimum": {},
    "maximum": {"mae": 9.0},
    "rule": {"name": "better", "settings": {"total_margin": 0.5, "slice_margin": 1.0}},
}
NUMBERS: dict[str, Any] = {
    "task": {"name": "regression", "settings": {"unit": "min"}},
    "data": {"classes": [], "roles": {"slices": ["Origin"]}},
    "train": {"loss": "mae"},
    "augment": {"copies": 0, "steps": []},
    "gate": GATE,
}


def given(**changes: Any) -> Recipe:
    """A recipe of numbers, held to what the files of its task, loss and rule say."""
    values = recipe(**{key: value for key, value in {**NUMBERS, **changes}.items() if key != "classes"})
    values["data"]["classes"] = changes.get("classes", values["data"]["classes"])
    found = validate(Recipe, values, "params")
    for chosen in choices(found):
        if chosen.slot in (TASK, LOSS, RULE):
            require_fit(chosen, found)
            if hasattr(chosen.member(), "check"):
                chosen.member().check(chosen.settings(), found)
    return found


def test_a_recipe_of_numbers_is_taken() -> None:
    found = given(gate={**GATE, "slices": {"origin": {"JFK": {"maximum": {"mae": 4.0}}}}})
    assert found.task.name == "regression"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["cat", "dog"]}, "task regression: data.classes names 2 classes, but the target is a number"),
        ({"task": "classification"}, "task classification: data.classes is empty, which says that the target is a"),
        (
            {"train": {"loss": "cross_entropy"}},
            "train.loss cross_entropy: is a loss of a class, and the target is a number; choose one of huber, mae, mse",
        ),
        ({"gate": {**GATE, "maximum": {}}}, "gate.maximum: 'mae' is missing"),
        ({"gate": {**GATE, "minimum": {"r2": 1.5}}}, "gate.minimum.r2: 1.5 is not within -inf and 1"),
        ({"gate": {**GATE, "rule": "better"}}, "gate.rule.settings.slice_margin: is missing; say how much MAE may be"),
        (
            {"gate": {**GATE, "slices": {"carrier": {"UA": {"maximum": {"mae": 1.0}}}}}},
            "gate.slices: no column 'carrier' divides the rows",
        ),
        (
            {"gate": {**GATE, "slices": {"origin": {"JFK": {"maximum": {"r2": 0.1}}}}}},
            "gate.slices.origin.JFK.maximum: no metric 'r2' of this task",
        ),
    ],
)
def test_what_does_not_fit_numbers_is_refused_before_any_work(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        given(**changes)
    assert said in str(raised.value)


def test_losses_of_numbers_are_refused_for_classes() -> None:
    with pytest.raises(
        UsageError, match=r"train\.loss huber: is a loss of a number, and the target is a class; choose"
    ):
        checked(recipe(train={"loss": "huber"}), "params")


def test_the_score_is_the_opposite_of_the_absolute_error() -> None:
    task = task_of(Choice(name="regression", settings={"unit": "min"}), ())
    labels, answers = np.array([1.0, 5.0]), np.array([[2.5], [5.0]], np.float32)
    assert task.score(labels, answers).tolist() == [-1.5, 0.0]
    assert -task.score(labels, answers).mean() == task.measure(labels, answers)["mae"]
    assert task.scored_by.name == "mae"
    assert not task.scored_by.is_share


def test_figures_have_the_target_s_unit() -> None:
    task = task_of(Choice(name="regression", settings={"unit": "min"}), ())
    units = {metric.name: metric.unit for metric in task.metrics}
    assert units == {"mae": "min", "rmse": "min", "mse": "min²", "r2": "", "bias": "min"}
    assert {metric.unit for metric in task_of(Choice(name="regression"), ()).metrics} == {""}
    spaced = task_of(Choice(name="regression", settings={"unit": "EUR a day"}), ())
    assert next(metric.unit for metric in spaced.metrics if metric.name == "mse") == "(EUR a day)²"


def test_a_slice_that_is_declared_as_the_classes_are_called_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.roles\.slices: rows are divided by 'class' already"):
        given(task="classification", classes=["cat", "dog"], data={"roles": {"slices": ["Class"]}}, train={}, gate={})


def test_declared_slices_have_figures_of_their_rows() -> None:
    task = task_of(Choice(name="classification"), ("no", "yes"))
    labels = np.array([0, 1, 0, 1, 0], np.int32)
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9], [0.8, 0.2]], np.float32)
    declared = {"origin": Slices(("a", "b"), np.array([0, 0, 0, 1, 1]))}
    assert list(task.slices(labels, declared)) == ["class", "origin"]
    found = task.measure_slices(labels, answers, declared)["origin"]
    assert found["a"]["accuracy"] == pytest.approx(2 / 3)
    assert found["b"] == {"accuracy": 1.0, "cross_entropy": pytest.approx(-np.log([0.9, 0.8]).mean(), rel=1e-6)}
    by_row = task.row_values(labels, answers, declared)
    assert by_row.of_slice("origin", "a", "accuracy") == pytest.approx([1, 1, 0])
