"""Where a classifier errs: its most confident mistakes, and which classes it takes for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.evaluation.classification.metrics import EVEN, Labels, Probabilities, predicted
from pipeline.recipe.task import Mistake, Mistakes, Table
from pipeline.runtime.progress import count as in_words

_CONFUSIONS = 8


def find(
    ids: Sequence[str],
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    count: int,
    threshold: float = EVEN,
) -> Mistakes:
    """Return how many rows are wrong, the `count` that are most confidently so, and the commonest confusions."""
    answers = predicted(probabilities, threshold)
    wrong = int(np.count_nonzero(answers != labels))
    worst = worst_mistakes(ids, labels, probabilities, classes, count, threshold)
    taken = "" if threshold == EVEN else f" A row is taken for {classes[1]} from a probability of {threshold:.3f} on."
    return Mistakes(
        sentence=f"{in_words(wrong)} of {in_words(len(labels))} validation rows are classified wrongly.{taken}",
        worst=tuple(worst),
        words=f"The {len(worst)} validation rows that the model got wrong with the highest confidence: the true class, "
        "the class it was taken for, the confidence (0 to 1) and the beginning of the id.",
        table=common_confusions(labels, answers, classes, _CONFUSIONS),
    )


def worst_mistakes(
    ids: Sequence[str],
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    count: int,
    threshold: float = EVEN,
) -> list[Mistake]:
    """Return the wrong predictions with the highest confidence in what was predicted, highest first; ties by id."""
    answers = predicted(probabilities, threshold)
    confidence = probabilities[np.arange(len(answers)), answers]
    wrong = np.flatnonzero(answers != labels)
    order = sorted(wrong.tolist(), key=lambda row: (-float(confidence[row]), ids[row]))
    return [
        Mistake(row, classes[int(labels[row])], classes[int(answers[row])], f"{confidence[row]:.3f}")
        for row in order[:count]
    ]


def common_confusions(labels: Labels, answers: Labels, classes: Sequence[str], count: int) -> Table | None:
    """Return the pairs of classes that are confused most often, by number of rows; None if none is."""
    size = len(classes)
    matrix = np.bincount(labels * size + answers, minlength=size * size).reshape(size, size)
    rows = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = [(*divmod(int(cell), size), int(matrix.flat[cell])) for cell in order if matrix.flat[cell]]
    if not pairs:
        return None
    return Table(
        "What is taken for what",
        ("true class", "taken for", "rows", "share of the class"),
        tuple(
            (classes[truth], classes[answer], number, f"{100 * number / rows[truth]:.1f} %")
            for truth, answer, number in pairs
        ),
        text_columns=2,
    )
