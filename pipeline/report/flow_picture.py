"""The rows through the stages as one picture, in coordinates: bands as wide as they have rows, from source to parts.

Each stage is a column. What it rejects or holds back leaves its band downwards, to a block with the reasons; rows that
a later stage makes, as changed copies, begin there and go no further. Nothing is drawn here; the template does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.report.figures import count
from pipeline.report.flow import Flow, StageFlow

_WIDTH = 960.0
_LEFT, _RIGHT = 2.0, 186.0  # room for the names of the last bands
_TOP = 52.0
_BANDS = 190.0  # the height of the column of most rows, without gaps
_GAP = 9.0
_TEXT = 15.0  # from a stream to the next at the least: so high is a line of text beside it
_BAR = 9.0
_THINNEST = 2.0
_LEAST_SLICE = 0.5  # of what is rejected, by its part
_BELOW = 26.0  # between the bands and what leaves them
_LINE = 18.0
_MOST_REASONS = 8
_KEPT = "kept"  # the one band of rows that are not divided
PLAIN = ("train", "validation", "test")  # parts with a colour of their own


@dataclass(frozen=True)
class Band:
    """A stream of rows between two stages: a closed curve. `kind` is a part's, or kept, rejected, held or new."""

    kind: str
    path: str
    title: str


@dataclass(frozen=True)
class Node:
    """A stream of rows in a stage."""

    kind: str
    x: float
    y: float
    height: float
    title: str
    rows: int = 0


@dataclass(frozen=True)
class Label:
    """A text; `kind` is stage, rows, part, aside or reason, and `bad` where rows do not add up."""

    kind: str
    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class FlowPicture:
    """Everything to draw, and the picture in words."""

    bands: tuple[Band, ...]
    nodes: tuple[Node, ...]
    labels: tuple[Label, ...]
    words: str
    height: float
    width: float = _WIDTH
    bar: float = _BAR


@dataclass
class _Drawing:
    """What has been placed so far."""

    most: int  # rows of a column
    floor: float
    bands: list[Band] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def height(self, rows: int) -> float:
        """Return the height of a stream."""
        return round(max(_BANDS * (rows / self.most), _THINNEST), 1) if rows else 0.0

    def node(self, kind: str, x: float, y: float, rows: int, title: str) -> Node:
        """Place a stream in a stage."""
        placed = Node(kind, x, round(y, 1), self.height(rows), title, rows)
        self.nodes.append(placed)
        return placed

    def band(self, kind: str, start: tuple[float, float, float], end: Node, title: str) -> None:
        """Draw a band from a place (x, y and height) to a node."""
        x, y, height = start
        self.bands.append(Band(kind, _curve(x + _BAR, y, height, end.x, end.y, end.height), title))

    def label(self, kind: str, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Place a text."""
        self.labels.append(Label(kind, round(x, 1), round(y, 1), text, anchor))


def picture_of(flow: Flow) -> FlowPicture | None:
    """Return the picture of a flow; None if it has no source, or no rows."""
    steps = [step for step in flow.steps if step.kept is not None and (step.makes or step.taken_in is not None)]
    if not steps or not steps[0].makes or not any(step.kept for step in steps):
        return None
    streams_at_once = max(len(step.parts) for step in steps) + any(step.makes for step in steps[1:])
    most = max(_rows_of_column(step, steps) for step in steps)
    drawing = _Drawing(most, _TOP + _BANDS + _GAP * streams_at_once + _BELOW)
    distance = (_WIDTH - _LEFT - _RIGHT) / max(len(steps) - 1, 1)
    streams: dict[str, Node] = {}
    for place, step in enumerate(steps):
        x = round(_LEFT + distance * place, 1)
        _head(drawing, step, x, is_first=place == 0)
        if place and step.makes:
            _new_rows(drawing, step, x, streams, min(distance, _RIGHT) * 0.6)
            continue
        streams = _column(drawing, step, x, streams)
    for part, node in streams.items():
        share = f" · {100 * flow.shares[part]:.1f} %" if part in flow.shares else ""
        text = f"{'' if part == _KEPT else part + ' '}{node.title.removesuffix(' rows')}"
        drawing.label("part", node.x + _BAR + 7, node.y + node.height / 2 + 4, text + share)
    return FlowPicture(
        tuple(drawing.bands), tuple(drawing.nodes), tuple(drawing.labels), _words(steps), round(drawing.floor, 1)
    )


def _rows_of_column(step: StageFlow, steps: list[StageFlow]) -> int:
    """Return how many rows a stage's column has to have room for: with those that pass it, if it makes others."""
    if not step.makes or step is steps[0]:
        return max(1, step.taken_in or 0, _rows_left(step) + (step.rejected or 0) + (step.held or 0))
    passing = [each for each in steps[: steps.index(step)] if not each.makes or each is steps[0]]
    return _rows_left(step) + _rows_left(passing[-1])


def _rows_left(step: StageFlow) -> int:
    return max(step.kept or 0, sum(step.parts.values()))


def _head(drawing: _Drawing, step: StageFlow, x: float, *, is_first: bool) -> None:
    drawing.label("stage", x, 15, step.name)
    more = "+" if step.makes and not is_first else ""
    drawing.label("rows", x, 32, f"{more}{count(step.kept)} rows")
    if step.adds_up is False:
        drawing.label("bad", x, _TOP - 3, f"✗ of {count(step.taken_in)}: do not add up")


def _column(drawing: _Drawing, step: StageFlow, x: float, before: Mapping[str, Node]) -> dict[str, Node]:
    """Place a stage's streams, one below the other, with the bands that lead to them; return them."""
    parts = step.parts or {_KEPT: step.kept or 0}
    y = _TOP + 6
    found: dict[str, Node] = {}
    taken: dict[str, float] = {}  # of the stream before, how far down bands have left it
    for part, number in parts.items():
        node = drawing.node(_kind(part), x, y, number, f"{count(number)} rows")
        origin = part if part in before else next(iter(before), None)
        if origin is not None and number:
            start = before[origin]
            top = start.y + taken.get(origin, 0.0)
            height = min(node.height, max(start.y + start.height - top, _THINNEST))
            drawing.band(_kind(part), (start.x, round(top, 1), round(height, 1)), node, f"{step.name}: {node.title}")
            taken[origin] = taken.get(origin, 0.0) + height
        found[part] = node
        y = _below(node)
    last = list(before)[-1] if before else None
    for kind, rows, what in (("rejected", step.rejected, "rejected"), ("held", step.held, "held back")):
        if rows:
            node = _aside(drawing, step, kind, rows, what, x)
            lost = _lost_by_part(step, before) or ({last: rows} if last is not None else {})
            for origin, end in _slices(node, lost, rows):
                start, used = before[origin], taken.get(origin, 0.0)
                height = max(min(end.height, start.height - used), _THINNEST)
                top = min(start.y + used, start.y + start.height - height)
                drawing.band(kind, (start.x, round(top, 1), round(height, 1)), end, f"{step.name}: {end.title}")
                taken[origin] = used + height
    return found


def _lost_by_part(step: StageFlow, before: Mapping[str, Node]) -> dict[str, int]:
    """Return how many rows each part has lost; nothing where rows are not divided, or where that is not known."""
    if len(before) < 2 or step.held or not step.adds_up:
        return {}
    lost = {part: start.rows - step.parts.get(part, 0) for part, start in before.items()}
    is_known = min(lost.values()) >= 0 and sum(lost.values()) == step.rejected
    return {part: rows for part, rows in lost.items() if rows} if is_known else {}


def _slices(node: Node, lost: Mapping[str, int], rows: int) -> Iterator[tuple[str, Node]]:
    """Cut a node, from above, into what each part has lost; one part's is the node itself."""
    y = node.y
    for part, number in lost.items():
        if len(lost) == 1:
            yield part, node
            return
        height = round(max(node.height * number / rows, _LEAST_SLICE), 1)
        yield (
            part,
            Node(node.kind, node.x, round(y, 1), height, f"{node.title}, {count(number)} of them {part}", number),
        )
        y += node.height * number / rows


def _below(node: Node) -> float:
    """Return where the next stream begins."""
    return round(node.y + max(node.height + _GAP, _TEXT), 1)


def _aside(drawing: _Drawing, step: StageFlow, kind: str, rows: int, what: str, x: float) -> Node:
    """Place the rows that leave the flow at a stage, with their reasons, below all that is there already."""
    lines = [f"{count(number)} {reason}" for reason, number in step.reasons.items()] if kind == "rejected" else []
    if len(lines) > _MOST_REASONS:
        lines[_MOST_REASONS - 1 :] = [f"and {len(lines) - _MOST_REASONS + 1} more reasons"]
    node = drawing.node(kind, x, drawing.floor, rows, f"{count(rows)} rows {what}")
    drawing.label("aside", x + _BAR + 7, node.y + 11, f"{count(rows)} {what}")
    for number, line in enumerate(lines, start=1):
        drawing.label("reason", x + _BAR + 7, node.y + 11 + _LINE * number, line)
    drawing.floor = node.y + max(node.height, _LINE * (len(lines) + 1)) + 10
    return node


def _new_rows(drawing: _Drawing, step: StageFlow, x: float, streams: Mapping[str, Node], length: float) -> None:
    """Place rows that a later stage makes below those that pass it, with the beginning of a band."""
    y = max(map(_below, streams.values()), default=_TOP + _GAP)
    node = drawing.node("new", x, y, step.kept or 0, f"{count(step.kept)} rows made here")
    if node.height:
        end = Node("new", x + length, node.y, node.height, "")
        drawing.band("new", (node.x, node.y, node.height), end, f"{step.name}: {node.title}")
        drawing.label("reason", x + length + 7, node.y + node.height / 2 + 4, step.note.partition(",")[0][:40])


def _kind(part: str) -> str:
    return part if part in PLAIN else _KEPT


def _curve(x1: float, y1: float, height1: float, x2: float, y2: float, height2: float) -> str:
    middle = (x1 + x2) / 2
    return (
        f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}V{y2 + height2:.1f}"
        f"C{middle:.1f} {y2 + height2:.1f} {middle:.1f} {y1 + height1:.1f} {x1:.1f} {y1 + height1:.1f}Z"
    )


def _words(steps: list[StageFlow]) -> str:
    """Return the picture in a sentence, for those who do not see it."""
    said = [f"{count(steps[0].kept)} rows from {steps[0].name}"]
    for step in steps[1:]:
        aside = ((step.rejected, "rejected"), (step.held, "held back"))
        found = [f"{count(rows)} {what}" for rows, what in aside if rows]
        found += [f"{count(rows)} {part}" for part, rows in step.parts.items()]
        said.append(f"{step.name}: {', '.join([f'{count(step.kept)} rows', *found])}")
    return "; ".join(said)
