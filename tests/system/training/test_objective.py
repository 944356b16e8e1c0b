"""What is minimised and measured comes from the files that the recipe names, and is checked row by row."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from pipeline.errors import UsageError
from pipeline.recipe.slots import Choice
from pipeline.training.objective import Objective, objective_of

LABELS = tf.constant([0, 2])
LOGITS = tf.constant([[4.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
ONES = tf.ones(2)


def test_the_recipe_names_the_loss_and_the_task() -> None:
    figures = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 3).of_rows([LABELS], LOGITS)
    assert list(figures) == ["loss", "accuracy"]
    assert figures["accuracy"].numpy().tolist() == [1.0, 0.0]
    assert figures["loss"].numpy() == pytest.approx([0.0359, 4.0359], abs=1e-4)


def test_a_loss_has_its_settings() -> None:
    smooth = Choice(name="cross_entropy", settings={"label_smoothing": 0.3})
    figures = objective_of(Choice(name="classification"), smooth, 3).of_rows([LABELS], LOGITS)
    assert figures["loss"].numpy()[0] == pytest.approx(0.0359 + 0.2 * 4.0, abs=1e-4)


def test_figures_of_a_row_of_two_labels_are_the_means_of_both_by_their_shares() -> None:
    objective = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 3)
    others, shares = tf.constant([2, 0]), tf.constant([0.25, 1.0])
    figures = objective.of_rows([LABELS, others, shares], LOGITS)
    own, other = objective.of_rows([LABELS], LOGITS), objective.of_rows([others], LOGITS)
    assert figures["accuracy"].numpy().tolist() == [0.25, 0.0]
    for name, values in figures.items():
        assert values.numpy()[0] == pytest.approx(0.25 * own[name].numpy()[0] + 0.75 * other[name].numpy()[0])
        assert values.numpy()[1] == own[name].numpy()[1]


def test_cross_entropy_of_two_labels_is_that_of_the_mixed_distribution() -> None:
    objective = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 3)
    found = objective.of_rows([LABELS, tf.constant([1, 1]), tf.constant([0.3, 0.6])], LOGITS)["loss"]
    mixture = tf.constant([[0.3, 0.7, 0.0], [0.0, 0.4, 0.6]])
    assert found.numpy() == pytest.approx(tf.nn.softmax_cross_entropy_with_logits(mixture, LOGITS).numpy(), rel=1e-6)


def test_a_task_without_figures_is_refused_by_its_file() -> None:
    with pytest.raises(UsageError, match=r"task guessing: pipeline/training/objectives/guessing\.py has no metrics"):
        objective_of(Choice(name="guessing"), Choice(name="cross_entropy"), 3)


@pytest.mark.parametrize(
    ("loss", "metrics", "said"),
    [
        (tf.constant(1.0), {}, r"^loss\.py: the loss has the shape \(\), not one number for each row"),
        (ONES, {"error": tf.ones((2, 3))}, r"^task\.py: error has the shape \(2, 3\)"),
        (ONES, {"penalty": ONES}, r"^task\.py: a figure cannot be called penalty"),
    ],
)
def test_a_figure_that_is_not_one_number_a_row_is_refused(loss: Any, metrics: dict[str, Any], said: str) -> None:
    objective = Objective(lambda *_: loss, lambda *_: metrics, "loss.py", "task.py")
    with pytest.raises(UsageError, match=said):
        objective.of_rows([LABELS], LOGITS)
