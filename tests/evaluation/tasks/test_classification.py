"""Classification as a task: what it declares is what it does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.recipe.resolving import checked
from tests.evaluation.made_answers import MadeAnswers
from tests.evaluation.recipes import recipe


def test_the_file_is_light_and_so_is_its_check() -> None:
    heavy = "{'numpy', 'pyarrow', 'sklearn', 'matplotlib'} & {name.partition('.')[0] for name in sys.modules}"
    code = f"import sys; import pipeline.evaluation.tasks.classification; assert not {heavy}, {heavy}"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_score_of_a_row_is_whether_its_class_is_the_surest(answers: MadeAnswers) -> None:
    scores = answers.task.score(answers.labels, answers.probabilities)

    assert set(scores.tolist()) == {0.0, 1.0}
    assert scores.mean() == pytest.approx(answers.task.measure(answers.labels, answers.probabilities)["accuracy"])


def test_each_class_is_a_slice(answers: MadeAnswers) -> None:
    slices = answers.task.slices(answers.labels)

    assert list(slices) == ["class"]
    assert slices["class"].names == answers.classes
    np.testing.assert_array_equal(slices["class"].number_of, answers.labels)
    assert list(answers.task.measure_slices(answers.labels, answers.probabilities)["class"]) == list(answers.classes)


def test_the_bins_of_the_calibration_are_those_of_the_recipe(answers: MadeAnswers) -> None:
    few, many = (
        type(answers.task)(answers.task.settings.model_copy(update={"calibration_bins": bins}), answers.classes)
        for bins in (2, 50)
    )
    labels, probabilities = answers.labels, answers.probabilities

    assert few.measure(labels, probabilities) != many.measure(labels, probabilities)
    assert few.tables(labels, probabilities)["calibration.csv"].count(b"\n") == 3


def test_a_recipe_is_refused_for_its_bounds_before_any_work() -> None:
    with pytest.raises(
        UsageError, match=r"^params: gate\.minimum: no metric 'acuracy' .* \(did you mean 'accuracy'\?\)"
    ):
        checked(recipe(gate={"minimum": {"acuracy": 0.8}}), "params")


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ({"colour": {}}, r"gate\.slices: no column 'colour' divides the rows \(valid: class\)"),
        ({"class": {"dogs": {}}}, r"gate\.slices\.class: no class 'dogs' \(did you mean 'dog'\?\)"),
        (
            {"class": {"dog": {"minimum": {"accuracy": 0.5}}}},
            r"gate\.slices\.class\.dog\.minimum: no metric 'accuracy' of this task",
        ),
        (
            {"class": {"dog": {"maximum": {"recall": 0.5}}}},
            r"\.class\.dog\.maximum\.recall: is better the higher: bound it in gate\.slices\.class\.dog\.minimum",
        ),
    ],
)
def test_a_bound_on_a_slice_that_does_not_exist_is_refused(slices: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked(recipe(gate={"slices": slices}), "params")


def test_a_bound_on_a_class_is_taken() -> None:
    given = checked(recipe(gate={"slices": {"class": {"dog": {"minimum": {"recall": 0.7}}}}}), "params")

    assert given.gate.slices["class"]["dog"].minimum == {"recall": 0.7}
