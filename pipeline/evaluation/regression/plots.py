"""Predicted numbers against the truth, their errors against the prediction, and how large errors are, drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.evaluation.drawing import BLUE, INK, ORANGE, grid, svg
from pipeline.evaluation.regression.metrics import Answers, Labels, Numbers, errors
from pipeline.evaluation.regression.plot_data import chosen, histogram

_SQUARE, _WIDE = (4.2, 4.0), (4.2, 3.2)  # inches


def drawings(labels: Labels, answers: Answers, unit: str) -> dict[str, bytes]:
    """Return every drawing by its file name."""
    rows = chosen(labels)
    given, off = answers.reshape(len(labels)).astype(np.float64), errors(labels, answers)
    return {
        "predicted.svg": predicted(labels[rows], given[rows], unit),
        "residuals.svg": residuals(given[rows], off[rows], unit),
        "errors.svg": histogram_of(off, unit),
    }


def predicted(truth: Labels, given: Numbers, unit: str) -> bytes:
    """Draw the prediction (up) by the truth (across), and the line on which the two agree."""
    both = np.concatenate([truth, given])
    ends = [float(both.min()), float(both.max())]

    def draw(axes: Any) -> None:
        axes.plot(ends, ends, color=INK, alpha=0.5, linewidth=0.8, linestyle=(0, (2, 3)))
        _dots(axes, truth, given)
        axes.set(xlabel=_named("truth", unit), ylabel=_named("prediction", unit))

    return svg(_SQUARE, _on_axes(draw))


def residuals(given: Numbers, off: Numbers, unit: str) -> bytes:
    """Draw the error (up) by the prediction (across), and the line of no error."""

    def draw(axes: Any) -> None:
        axes.axhline(0, color=INK, alpha=0.5, linewidth=0.8, linestyle=(0, (2, 3)))
        _dots(axes, given, off)
        axes.set(xlabel=_named("prediction", unit), ylabel=_named("prediction − truth", unit))

    return svg(_SQUARE, _on_axes(draw))


def histogram_of(off: Numbers, unit: str) -> bytes:
    """Draw how many rows have which error, and where no error is."""
    edges, counts = histogram(off)

    def draw(axes: Any) -> None:
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=BLUE, alpha=0.75, linewidth=0)
        axes.axvline(0, color=ORANGE, linewidth=1.2)
        axes.set(xlabel=_named("prediction − truth", unit), ylabel="rows")

    return svg(_WIDE, _on_axes(draw))


def _dots(axes: Any, x: Any, y: Any) -> None:
    # Many dots lie over each other: the more there are, the fainter is each.
    faint = float(np.clip(12 / np.sqrt(len(x)), 0.15, 0.8))
    axes.plot(x, y, color=BLUE, linestyle="none", marker="o", markersize=3, markeredgewidth=0, alpha=faint)


def _on_axes(draw: Any) -> Any:
    def on(figure: Any) -> None:
        axes = figure.add_axes((0.19, 0.15, 0.78, 0.81))
        grid(axes)
        draw(axes)

    return on


def _named(what: str, unit: str) -> str:
    return f"{what}, {unit}" if unit else what
