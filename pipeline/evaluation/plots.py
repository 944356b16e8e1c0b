"""The curves and the confusion matrix as SVG: the same bytes for the same values.

They are drawn without a background and in the colour of the surrounding text, so that a page can show them in a light
and in a dark scheme; opened alone, they are black on the viewer's white. Text stays text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.curves import Calibration, Curves
from pipeline.records.training_history import History

_INK = "#010203"  # placeholder for the colour of the surrounding text
_BLUE = "#3a86c8"
_ORANGE = "#d9822b"
_CLASSES_SHOWN = 24
_SETTINGS = {
    "svg.hashsalt": "ratchet",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be called "$"
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "path.simplify": False,
}


def learning_curves(history: History) -> bytes:
    """Draw loss and accuracy by epoch, for the training and the validation part."""

    def draw(figure: Any) -> None:
        epochs = [record.epoch for record in history]
        for column, (figure_of, title) in enumerate([("loss", "loss (nats a row)"), ("accuracy", "accuracy")]):
            axes = figure.add_axes((0.075 + 0.5 * column, 0.17, 0.4, 0.7))
            for part, colour, line in (("train", _ORANGE, (0, (4, 2))), ("validation", _BLUE, "-")):
                values = [getattr(record, f"{part}_{figure_of}") for record in history]
                axes.plot(epochs, values, color=colour, linestyle=line, linewidth=1.6, marker="o", markersize=3)
                # The higher curve's name is above its end, the lower one's below: they never overlap.
                is_higher = values[-1] == max(
                    getattr(history[-1], f"{each}_{figure_of}") for each in ("train", "validation")
                )
                side = "bottom" if is_higher else "top"
                axes.annotate(part, (epochs[-1], values[-1]), (6, 0), textcoords="offset points", color=colour, va=side)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            span = max(1.0, epochs[-1] - epochs[0])
            axes.set_xticks(sorted({int(epoch) for epoch in np.linspace(epochs[0], epochs[-1], 8)}))
            axes.set_xlim(epochs[0] - 0.04 * span, epochs[-1] + 0.25 * span)  # space for the names of the parts
            axes.margins(y=0.15)
            _grid(axes)

    return _svg((8.6, 3.0), draw)


def confusion(matrix: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """Draw `[true class, predicted class]` as shares of each true class, with the row counts.

    Only the 24 classes with the lowest recall are drawn if there are more.
    """
    rows = matrix.sum(axis=1)
    recall = matrix.diagonal() / np.maximum(rows, 1)
    shown = np.sort(np.argsort(recall, kind="stable")[:_CLASSES_SHOWN])
    names = [_short(classes[number]) for number in shown]
    side, left, right, top, bottom = 0.42 * len(shown), 1.2, 0.65, 1.2, 0.05  # inches
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
                        color=_BLUE if truth == answer else _ORANGE,
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

    return _svg((width, height), draw)


def roc(curves: Curves, classes: Sequence[str]) -> bytes:
    """Draw each class against the rest, their mean, and the three classes furthest from the corner by name."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, alpha=0.35, linewidth=0.8, linestyle=(0, (2, 3)))
        _draw_curves(axes, curves, classes)
        axes.set(xlabel="false positive rate", ylabel="true positive rate")

    return _square(draw)


def precision_recall(curves: Curves, classes: Sequence[str]) -> bytes:
    """Draw each class against the rest, their mean, and the three classes furthest from the corner by name."""

    def draw(axes: Any) -> None:
        _draw_curves(axes, curves, classes)
        axes.set(xlabel="recall", ylabel="precision")

    return _square(draw)


def calibration(bins: Calibration) -> bytes:
    """Draw accuracy by confidence; the area of a dot is its share of the rows."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, alpha=0.35, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.plot(bins.confidence, bins.accuracy, color=_BLUE, linewidth=1.2, alpha=0.6)
        share = bins.rows / bins.rows.sum()
        axes.scatter(bins.confidence, bins.accuracy, s=8 + 300 * share, color=_BLUE, alpha=0.75, linewidth=0)
        axes.annotate("too careful", (0.03, 0.95), color=_INK, alpha=0.6)
        axes.annotate("too sure", (0.97, 0.03), color=_INK, alpha=0.6, ha="right")
        axes.set(xlabel="confidence", ylabel="accuracy")

    return _square(draw)


def _draw_curves(axes: Any, curves: Curves, classes: Sequence[str]) -> None:
    worst = np.argsort(np.trapezoid(curves.y, curves.x, axis=1), kind="stable")[:3]
    for number in range(len(classes)):
        if number not in worst:
            axes.plot(curves.x, curves.y[number], color=_INK, alpha=0.22, linewidth=0.7)
    for number, line in zip(worst, ("-", (0, (4, 2)), (0, (1, 1.5))), strict=False):
        label = f"class {_short(classes[number])}"
        axes.plot(curves.x, curves.y[number], color=_ORANGE, linewidth=1.1, linestyle=line, label=label)
    axes.plot(curves.x, curves.macro, color=_BLUE, linewidth=2.0, label="mean of the classes")
    axes.legend(loc="lower left" if curves.y[:, -1].mean() < 0.7 else "lower right", handlelength=2.4)


def _square(draw: Callable[[Any], None]) -> bytes:
    def on(figure: Any) -> None:
        axes = figure.add_axes((0.14, 0.13, 0.83, 0.83))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        _grid(axes)
        draw(axes)

    return _svg((4.2, 4.0), on)


def _grid(axes: Any) -> None:
    axes.grid(visible=True, color=_INK, alpha=0.1, linewidth=0.6)
    axes.set_axisbelow(True)


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"


def _svg(size_inches: tuple[float, float], draw: Callable[[Any], None]) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # the user's matplotlibrc must not change what DVC tracks
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=size_inches)
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue().replace(_INK.encode(), b"currentColor")
