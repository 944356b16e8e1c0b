"""Drawings as SVG: the same bytes for the same values.

They are drawn without a background and in the colour of the surrounding text, so that a page can show them in a light
and in a dark scheme; opened alone, they are black on the viewer's white. Text stays text.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

INK = "#010203"  # placeholder for the colour of the surrounding text
BLUE = "#3a86c8"
ORANGE = "#d9822b"
_SETTINGS = {
    "svg.hashsalt": "ratchet",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be called "$"
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "path.simplify": False,
}


def svg(size_inches: tuple[float, float], draw: Callable[[Any], None]) -> bytes:
    """Return what `draw` draws on a Matplotlib figure."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # the user's matplotlibrc must not change what DVC tracks
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=size_inches)
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue().replace(INK.encode(), b"currentColor")


def square(draw: Callable[[Any], None]) -> bytes:
    """Return what `draw` draws on axes from 0 to 1."""

    def on(figure: Any) -> None:
        axes = figure.add_axes((0.14, 0.13, 0.83, 0.83))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        grid(axes)
        draw(axes)

    return svg((4.2, 4.0), on)


def grid(axes: Any) -> None:
    """Draw a faint grid behind the axes' content."""
    axes.grid(visible=True, color=INK, alpha=0.1, linewidth=0.6)
    axes.set_axisbelow(True)
