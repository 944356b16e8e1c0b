"""What was found, what is unsure and what to do next, in at most fifteen lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.drafting.looking import Delivered, Pictures
from pipeline.drafting.measuring import Cleaned
from pipeline.errors import shortened
from pipeline.runtime.progress import count

MOST_LINES = 15
_FEW, _MANY = 4, 12  # of a kind that are named; of classes


def found_lines(
    path: str, source: str, delivered: Delivered, pictures: Pictures, cleaned: Cleaned, test_rows: int
) -> list[str]:
    """Return what was found, a line for each subject."""
    parts = counted(dict(sorted(delivered.parts.items(), reverse=True)))
    unlabelled = f", {count(delivered.unlabelled)} without a label" if delivered.unlabelled else ""
    lines = [
        f"{path}: {count(delivered.rows)} rows, read as {source}: {parts}{unlabelled}",
        _classes(cleaned.kept),
        f"pictures: {_sizes(pictures)}; {counted(pictures.encodings)}"
        + (f"; modes {counted(pictures.modes)}" if pictures.modes else ""),
        f"kept: {count(cleaned.rows)}, {count(test_rows)} of them test rows"
        + (f"; rejected: {counted(cleaned.reasons)}" if cleaned.reasons else "; none is rejected"),
    ]
    return [shortened(line) for line in lines]


def all_lines(found: Sequence[str], unsure: Sequence[str], written: Sequence[Path], command: str) -> list[str]:
    """Return all that is said: at most `MOST_LINES` lines; what is unsure beyond that is counted."""
    ends = [f"written: {', '.join(map(str, written))}", f"next: read them, edit what is not so; then: {command}"]
    room = MOST_LINES - len(found) - len(ends)
    doubts = [shortened(f"unsure: {each}") for each in unsure]
    if len(doubts) > room:
        doubts = [*doubts[: room - 1], f"unsure: {len(doubts) - room + 1} more, in the comments of the config"]
    return [*found, *doubts, *ends]


def _sizes(pictures: Pictures) -> str:
    if not len(pictures.heights):
        return "none says its size"
    if pictures.are_of_one_size:
        return f"all of {pictures.heights.max()} × {pictures.widths.max()} pixels (height × width)"
    heights, widths = pictures.heights, pictures.widths
    return f"{heights.min()} to {heights.max()} pixels high, {widths.min()} to {widths.max()} wide"


def counted(counts: Mapping[str, int], most: int = _FEW) -> str:
    """Return names with their counts; of more than are named those of most rows: `9 png, 8 gif, 5 others`."""
    if len(counts) <= most:
        return ", ".join(f"{count(rows)} {name}" for name, rows in counts.items())
    by_rows = sorted(counts.items(), key=lambda each: -each[1])
    rest = sum(rows for _, rows in by_rows[most:])
    named = [f"{count(rows)} {name}" for name, rows in by_rows[:most]]
    return ", ".join([*named, f"{count(rest)} {'other' if rest == 1 else 'others'}"])


def _classes(kept: Mapping[str, int]) -> str:
    """Return the classes with the rows that are kept of each."""
    if len(set(kept.values())) == 1:
        names = [*list(kept)[:_MANY], *_more(kept, _MANY)]
        return f"{len(kept)} classes of {count(next(iter(kept.values())))} rows each: {', '.join(names)}"
    return f"{len(kept)} classes (rows): {in_brackets(kept)}"


def in_brackets(counts: Mapping[str, int], most: int = _MANY) -> str:
    """Return names, and their counts after them: `cats (1 600), dogs (400)`."""
    named = [f"{name} ({count(rows)})" for name, rows in list(counts.items())[:most]]
    return ", ".join([*named, *_more(counts, most)])


def _more(counts: Mapping[str, int], most: int) -> list[str]:
    return [f"{len(counts) - most} more"] if len(counts) > most else []
