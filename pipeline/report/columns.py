"""What the training part holds of each column, for the page: figures, a histogram in coordinates, the commonest.

Nothing is drawn here; the template does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.recipe.recipe import FEATURE
from pipeline.records.columns import Columns, ColumnSummary, Commonest, CountedText, Distribution, Histogram
from pipeline.report.figures import count, measure
from pipeline.report.foreign_text import shortened
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section, find_file, section
from pipeline.storage.record_files import read_record

_WIDTH, _HEIGHT = 340.0, 96.0
_FOOT = 22.0  # below the bars, for the axis' figures
_GAP = 1.0  # between bars
_LEAST = 1.0  # the height of the lowest bar that can be seen
_MOST_TICKS = 5
_TEXTS_SHOWN = 8  # of the commonest, before the others are folded
_LONGEST_SHOWN = 60  # characters of a text
_HALF = 0.5


@dataclass(frozen=True)
class Bar:
    """The rows of a bin."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Tick:
    """A figure below the axis."""

    x: float
    text: str


@dataclass(frozen=True)
class DrawnHistogram:
    """Everything to draw, and the histogram in words; `beyond` says what lies outside."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    median: float | None
    words: str
    beyond: tuple[str, ...]
    width: float = _WIDTH
    height: float = _HEIGHT + _FOOT
    bottom: float = _HEIGHT


@dataclass(frozen=True)
class ShownText:
    """One of the commonest texts: its rows, also as a share of all rows and of the commonest one's, in percent."""

    text: str
    rows: int
    share: float
    length: float


@dataclass(frozen=True)
class ShownColumn:
    """A column: its figures by name, its histogram if it has one, its commonest texts, the first of them unfolded."""

    name: str
    kind: str
    rows: str
    missing: str
    of: str
    figures: tuple[tuple[str, str], ...]
    histogram: DrawnHistogram | None
    texts_of: str
    texts: tuple[ShownText, ...]
    folded: tuple[ShownText, ...]
    others: str

    @property
    def is_wide(self) -> bool:
        """Whether it has more to show than fits beside others."""
        return bool(self.figures and self.texts)


def has_columns(files: RunFiles) -> bool:
    """Return whether there is anything to show, or whether there should be: by the recipe, if nothing is made yet."""
    read = _read(files)
    if read.value is None:
        return bool(read.problem) or (files.place("columns") is not None and _says_something(files))
    return bool(read.value.columns or read.value.target)


def read_columns(files: RunFiles) -> Section[tuple[ShownColumn, ...]]:
    """Read what the training part holds of each column; the target, if that is a number, first."""
    read = _read(files)
    if read.value is None:
        return Section(None, read.problem)
    columns = read.value
    unit = (files.recipe.value or {}).get("task.settings.unit")
    return section(lambda: tuple(_shown(columns, unit if isinstance(unit, str) else "")), files.root)


def _read(files: RunFiles) -> Section[Columns]:
    place = files.place("columns")
    if place is None:
        return Section(None)
    path = files.root / place
    return section(lambda: read_record(path, Columns) if find_file(path) else None, files.root)


def _says_something(files: RunFiles) -> bool:
    for key, kind in (files.recipe.value or {}).items():
        room, _, rest = key.partition("data.features.")
        if not room and rest.count(".") == (1 if rest.endswith(".kind") else 0):
            try:
                if hasattr(FEATURE.member(kind), "summary"):
                    return True
            except UsageError:  # a kind of another Ratchet's: nothing is known of what it says
                continue
    return False


def _shown(read: Columns, unit_of_target: str) -> Sequence[ShownColumn]:
    shown = [_column(column) for column in read.columns]
    if read.target is None:
        return shown
    spread = read.target.changed(unit=read.target.unit or unit_of_target)
    target = ColumnSummary(name="target", kind="", rows=0, missing=0, distribution=spread)
    return [_column(target), *shown]


def _column(column: ColumnSummary) -> ShownColumn:
    spread, commonest = column.distribution, column.commonest
    texts = _texts(commonest, column.rows) if commonest else ()
    unfolded = (
        _TEXTS_SHOWN if len(texts) > _TEXTS_SHOWN + 2 else len(texts)
    )  # to fold one or two hides more than it saves
    others = ""
    if commonest and commonest.others:
        more = commonest.distinct - len(commonest.top)
        others = f"{count(commonest.others)} rows of {count(more)} others"
    return ShownColumn(
        name=column.name,
        kind=column.kind,
        rows=count(column.rows) if column.rows else "",
        missing=f"{_share(column.missing, column.rows)} {column.missing_word}" if column.rows else "",
        of=spread.of if spread else "",
        figures=_figures(spread) if spread else (),
        histogram=_drawn(spread, spread.histogram) if spread and spread.histogram else None,
        texts_of=f"{count(commonest.distinct)} {commonest.of}" if commonest else "",
        texts=texts[:unfolded],
        folded=texts[unfolded:],
        others=others,
    )


def _share(rows: int, of: int) -> str:
    share = 100 * rows / of
    return f"{count(rows)} ({share:.{1 if share >= 1 or not rows else 2}f} %)" if rows else "none"


def _figures(spread: Distribution) -> tuple[tuple[str, str], ...]:
    values = (
        ("least", spread.minimum),
        ("lower quartile", spread.lower_quartile),
        ("median", spread.median),
        ("upper quartile", spread.upper_quartile),
        ("greatest", spread.maximum),
        ("mean", spread.mean),
    )
    return tuple((name, measure(value, spread.unit)) for name, value in values)


def _texts(commonest: Commonest, rows: int) -> tuple[ShownText, ...]:
    most = max((each.rows for each in commonest.top), default=1)
    return tuple(_text(each, rows, most) for each in commonest.top)


def _text(one: CountedText, rows: int, most: int) -> ShownText:
    text = shortened(one.text, _LONGEST_SHOWN)
    return ShownText(text, one.rows, round(100 * one.rows / max(rows, 1), 1), round(100 * one.rows / max(most, 1), 1))


def _drawn(spread: Distribution, histogram: Histogram) -> DrawnHistogram:
    edges, most = histogram.edges, max((*histogram.rows, 1))
    low = edges[0]
    scale = _WIDTH / (edges[-1] - low)

    def x_of(value: float) -> float:
        return round((value - low) * scale, 1)

    bars = []
    for left, right, rows in zip(edges, edges[1:], histogram.rows, strict=False):
        height = round(max(rows / most * _HEIGHT, _LEAST), 1) if rows else 0.0
        title = f"{_bin(left, right)}{f' {spread.unit}' if spread.unit else ''}: {count(rows)} rows"
        bars.append(
            Bar(x_of(left), round(_HEIGHT - height, 1), round(x_of(right) - x_of(left) - _GAP, 1), height, title)
        )
    beyond = [
        f"{count(rows)} row{'' if rows == 1 else 's'} {where}"
        for rows, where in (
            (histogram.below, f"below {measure(edges[0], spread.unit)}"),
            (histogram.above, f"of {measure(edges[-1], spread.unit)} or more"),
        )
        if rows
    ]
    inside = edges[0] <= spread.median <= edges[-1]
    return DrawnHistogram(
        bars=tuple(bars),
        ticks=_ticks(edges, x_of),
        median=x_of(spread.median) if inside else None,
        words=f"{spread.of} from {measure(spread.minimum, spread.unit)} to {measure(spread.maximum, spread.unit)}, "
        f"half of the rows between {measure(spread.lower_quartile, spread.unit)} and "
        f"{measure(spread.upper_quartile, spread.unit)}",
        beyond=tuple(beyond),
    )


def _is_one_number(left: float, right: float) -> bool:
    """Return whether a bin is around a single whole number."""
    return right - left == 1 and left % 1 == _HALF


def _bin(left: float, right: float) -> str:
    return measure(left + _HALF) if _is_one_number(left, right) else f"{measure(left)} to {measure(right)}"


def _ticks(edges: Sequence[float], x_of: Callable[[float], float]) -> tuple[Tick, ...]:
    at = [left + _HALF for left in edges[:-1]] if _is_one_number(*edges[:2]) else list(edges)
    every = -(-len(at) // _MOST_TICKS)
    return tuple(Tick(x_of(value), measure(value)) for value in at[::every])
