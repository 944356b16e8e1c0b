"""The curves and the confusion matrix of a classifier, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.classification import curves, metrics
from pipeline.evaluation.classification.curves import Calibration, Curves
from pipeline.evaluation.classification.metrics import Labels, Probabilities
from pipeline.evaluation.drawing import BLUE, INK, ORANGE, square, svg

_CLASSES_SHOWN = 24


def drawings(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    calibration_bins: int,
    threshold: float = metrics.EVEN,
) -> dict[str, bytes]:
    """Return every drawing by its file name."""
    return {
        "confusion.svg": confusion(metrics.confusion_matrix(labels, probabilities, threshold), classes),
        "roc.svg": roc(curves.roc(labels, probabilities), classes),
        "precision_recall.svg": precision_recall(curves.precision_recall(labels, probabilities), classes),
        "calibration.svg": calibration(curves.calibration(labels, probabilities, bins=calibration_bins)),
    }


def confusion(matrix: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """Draw `[true class, predicted class]` as shares of each true class, with the row counts.

    Only the 24 classes with the lowest recall are drawn if there are more.
    """
    rows = matrix.sum(axis=1)
    recall = matrix.diagonal() / np.maximum(rows, 1)
    shown = np.sort(np.argsort(recall, kind="stable")[:_CLASSES_SHOWN])
    names = [_short(classes[number]) for number in shown]
    # Inches. Of two classes the picture is no smaller, or the page would enlarge its text.
    side, left, right, top, bottom = 0.42 * max(len(shown), 6), 1.2, 0.65, 1.2, 0.05
    width, height = left + side + right, top + side + bottom

    def draw(figure: Any) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        for down, truth in enumerate(shown):
            for across, answer in enumerate(shown):
                count = int(matrix[truth, answer])
                if not count:
                    continue
                share = count / rows[truth]
                # Mistakes are rare: the square root keeps them visible beside the diagonal.
                strength = 0.7 * (share if truth == answer else share**0.5)
                axes.add_patch(
                    Rectangle(
                        (across - 0.48, down - 0.48),
                        0.96,
                        0.96,
                        color=BLUE if truth == answer else ORANGE,
                        alpha=max(0.06, strength),
                        linewidth=0,
                    )
                )
                axes.text(across, down, f"{count}", ha="center", va="center", fontsize=7.5)
        axes.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(shown) - 0.5, -0.5), xlabel="predicted class")
        axes.set_ylabel("true class" if len(shown) == len(classes) else f"true class (the {len(shown)} worst)")
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xticks(range(len(shown)), names, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(len(shown)), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return svg((width, height), draw)


def roc(curves: Curves, classes: Sequence[str]) -> bytes:
    """Draw each class against the rest, their mean, and the three classes furthest from the corner by name."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (2, 3)))
        _draw_curves(axes, curves, classes)
        axes.set(xlabel="false positive rate", ylabel="true positive rate")

    return square(draw)


def precision_recall(curves: Curves, classes: Sequence[str]) -> bytes:
    """Draw each class against the rest, their mean, and the three classes furthest from the corner by name."""

    def draw(axes: Any) -> None:
        _draw_curves(axes, curves, classes)
        axes.set(xlabel="recall", ylabel="precision")

    return square(draw)


def calibration(bins: Calibration) -> bytes:
    """Draw accuracy by confidence; the area of a dot is its share of the rows."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.plot(bins.confidence, bins.accuracy, color=BLUE, linewidth=1.2, alpha=0.6)
        share = bins.rows / bins.rows.sum()
        axes.scatter(bins.confidence, bins.accuracy, s=8 + 300 * share, color=BLUE, alpha=0.75, linewidth=0)
        axes.annotate("too careful", (0.03, 0.95), color=INK, alpha=0.6)
        axes.annotate("too sure", (0.97, 0.03), color=INK, alpha=0.6, ha="right")
        axes.set(xlabel="confidence", ylabel="accuracy")

    return square(draw)


def _draw_curves(axes: Any, curves: Curves, classes: Sequence[str]) -> None:
    worst = np.argsort(np.trapezoid(curves.y, curves.x, axis=1), kind="stable")[:3]
    for number in range(len(classes)):
        if number not in worst:
            axes.plot(curves.x, curves.y[number], color=INK, alpha=0.22, linewidth=0.7)
    for number, line in zip(worst, ("-", (0, (4, 2)), (0, (1, 1.5))), strict=False):
        label = f"class {_short(classes[number])}"
        axes.plot(curves.x, curves.y[number], color=ORANGE, linewidth=1.1, linestyle=line, label=label)
    axes.plot(curves.x, curves.macro, color=BLUE, linewidth=2.0, label="mean of the classes")
    axes.legend(loc="lower left" if curves.y[:, -1].mean() < 0.7 else "lower right", handlelength=2.4)


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"
