"""One figure of all versions over time, as coordinates: where each version stands, and which one was champion when.

Moments, not days, are evenly spaced: a week of trials and a quiet year are both readable. Nothing is drawn here; the
template does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 960.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 26.0, 22.0, 46.0
_MOST_MOMENTS = 120  # the latest ones; of more, no eye could tell the marks
_MOST_LABELS = 40
_TICKS = 4
_DATES = 6


@dataclass(frozen=True)
class Plotted:
    """A version to be drawn: when it was registered, its figure, how it was judged."""

    version: int
    at_utc: str
    figure: float
    kind: str  # promoted, refused or other
    title: str


@dataclass(frozen=True)
class Move:
    """When the alias moved to a version."""

    at_utc: str
    version: int


@dataclass(frozen=True)
class Mark:
    """A version's place, and its label, "" where labels would cover each other."""

    x: float
    y: float
    kind: str
    label: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A figure beside the axis, or a date below it."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Everything to draw. `line` is the path of the champion's figure; `left_out` counts the moments before the first.

    `before` is the champion's figure when the line begins, if earlier moments are left out.
    """

    marks: tuple[Mark, ...]
    line: str
    figures: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    left_out: int
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    bottom: float = HEIGHT - _BOTTOM


def chart_of(versions: Sequence[Plotted], moves: Sequence[Move], champion: int | None) -> Chart | None:
    """Return the chart; None if no version has a figure.

    `champion` is the version that the alias points to now: where the moves do not say so, somebody has moved the alias
    with another tool, and the line ends there.
    """
    if not versions:
        return None
    figure_of = {each.version: each.figure for each in versions}
    known = sorted((move for move in moves if move.version in figure_of), key=lambda move: move.at_utc)
    all_moments = sorted({each.at_utc for each in versions} | {move.at_utc for move in known})
    moments = all_moments[-_MOST_MOMENTS:]
    x_of = _places(moments)
    shown = [each for each in versions if each.at_utc in x_of]
    held = _held(known, moments, champion if champion in figure_of else None)
    levels = [each.figure for each in shown] + [figure_of[version] for version in held.values() if version is not None]
    low, high = _range(levels)

    def y_of(figure: float) -> float:
        return round(HEIGHT - _BOTTOM - (figure - low) / (high - low) * (HEIGHT - _BOTTOM - _TOP), 1)

    has_labels = len(shown) <= _MOST_LABELS
    return Chart(
        marks=tuple(
            Mark(
                x_of[each.at_utc],
                y_of(each.figure),
                each.kind,
                f"v{each.version}" if has_labels else "",
                each.title,
            )
            for each in shown
        ),
        line=_line(
            {moment: None if version is None else y_of(figure_of[version]) for moment, version in held.items()}, x_of
        ),
        figures=tuple(
            Tick(y_of(value), _figure(value, high - low))
            for value in (low + (high - low) * step / _TICKS for step in range(_TICKS + 1))
        ),
        dates=_dates(moments, x_of),
        left_out=len(all_moments) - len(moments),
    )


def _places(moments: Sequence[str]) -> dict[str, float]:
    step = (WIDTH - _LEFT - _RIGHT) / len(moments)
    return {moment: round(_LEFT + step * (place + 0.5), 1) for place, moment in enumerate(moments)}


def _held(moves: Sequence[Move], moments: Sequence[str], champion: int | None) -> dict[str, int | None]:
    """Return the champion from each moment on; None before the first."""
    held: dict[str, int | None] = {}
    for moment in moments:
        held[moment] = next((move.version for move in reversed(moves) if move.at_utc <= moment), None)
    held[moments[-1]] = champion
    return held


def _line(levels: Mapping[str, float | None], x_of: Mapping[str, float]) -> str:
    path: list[str] = []
    last: float | None = None
    for moment, level in levels.items():
        if last is not None:
            path.append(f"H{x_of[moment]}")
        if level is not None and last is None:
            path.append(f"M{x_of[moment]} {level}")
        elif level is not None and level != last:
            path.append(f"V{level}")
        last = level
    if last is not None:
        path.append(f"H{WIDTH - _RIGHT}")
    return "".join(path)


def _range(levels: Sequence[float]) -> tuple[float, float]:
    low, high = min(levels), max(levels)
    margin = (high - low) * 0.12 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _figure(value: float, span: float) -> str:
    digits = next((digits for digits in range(7) if span >= 40 * 10.0**-digits), None)
    text = f"{value:.3g}" if digits is None or abs(value) >= 1e9 else f"{value:.{digits}f}"
    return text.replace("-", "−")


def _dates(moments: Sequence[str], x_of: Mapping[str, float]) -> tuple[Tick, ...]:
    """Return the day of the first moment of each day, as many as there is room for."""
    first_of_day = {moment[:10]: moment for moment in reversed(moments)}
    days = sorted(first_of_day)
    shown = days[:: -(-len(days) // _DATES)]
    return tuple(Tick(x_of[first_of_day[day]], day) for day in shown)
