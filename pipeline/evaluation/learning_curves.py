"""How a training went, of any task: each figure after each epoch, as a table and as a drawing."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.evaluation.drawing import BLUE, ORANGE, grid, svg
from pipeline.records.training_history import History, history_csv

LEARNING_CURVES = "learning_curves"
_PARTS = (("train", ORANGE, (0, (4, 2))), ("validation", BLUE, "-"))
_FIGURES_A_ROW = 2
_ROW_INCHES = 3.0


def table(history: History) -> bytes:
    """Return one row per epoch. By default DVC draws the last column: the last figure of the validation part."""
    return history_csv(history).encode()


def drawing(history: History) -> bytes:
    """Draw each figure by epoch, for the training and the validation part."""
    names = list(history[0].train)
    rows = -(-len(names) // _FIGURES_A_ROW)

    def draw(figure: Any) -> None:
        for place, name in enumerate(names):
            row, column = divmod(place, _FIGURES_A_ROW)
            bottom = (rows - 1 - row + 0.17) / rows
            _draw_figure(figure.add_axes((0.075 + 0.5 * column, bottom, 0.4, 0.7 / rows)), history, name)

    return svg((8.6, _ROW_INCHES * rows), draw)


def _draw_figure(axes: Any, history: History, name: str) -> None:
    epochs = [record.epoch for record in history]
    # What a model adds to its loss is a figure of the training part only.
    parts = [part for part in _PARTS if name in getattr(history[0], part[0])]
    highest = max(getattr(history[-1], part)[name] for part, *_ in parts)
    for part, colour, line in parts:
        values = [getattr(record, part)[name] for record in history]
        axes.plot(epochs, values, color=colour, linestyle=line, linewidth=1.6, marker="o", markersize=3)
        # The higher curve's name is above its end, the lower one's below: they never overlap.
        side = "bottom" if values[-1] == highest else "top"
        axes.annotate(part, (epochs[-1], values[-1]), (6, 0), textcoords="offset points", color=colour, va=side)
    axes.set_title(name.replace("_", " "))
    axes.set_xlabel("epoch")
    span = max(1.0, epochs[-1] - epochs[0])
    axes.set_xticks(sorted({int(epoch) for epoch in np.linspace(epochs[0], epochs[-1], 8)}))
    axes.set_xlim(epochs[0] - 0.04 * span, epochs[-1] + 0.25 * span)  # space for the names of the parts
    axes.margins(y=0.15)
    grid(axes)
