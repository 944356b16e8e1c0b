"""A model card as files: `model_card.json` for programs, `model_card.md` for people.

What stands in a card may come from the data, so every text is escaped: none of it becomes a heading, a link, a picture,
HTML or code, in CommonMark or GitHub's Markdown (CommonMark 0.31, sections 2.4 and 6; GFM 0.29, sections 4.10 and 6.9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipeline.records.model_card import CARD_FILE, CARD_PAGE, CardPart, CardTable, ModelCard
from pipeline.registry.card import how_to_use
from pipeline.report.foreign_text import visible
from pipeline.storage.artifacts import dump_json

# An underscore within a word is one. The last two: addresses, which become links.
_SPECIAL = re.compile(r"[\\`*{}\[\]<>#|~&$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)/(?=/)|(?<=[wW])\.")
_MARKER = re.compile(r"^(\d*)([-+=.):])")  # what makes a list, or a line, at the beginning of one
_ESCAPED_MARKER = r"\1\\\2"
_TICKS = re.compile("`+")


def card_files(card: ModelCard) -> dict[str, bytes]:
    """Return a card's files by their names."""
    return {CARD_FILE: dump_json(card.to_json()), CARD_PAGE: markdown(card)}


def markdown(card: ModelCard) -> bytes:
    """Return the file for people."""
    version = "" if card.version is None else f" v{card.version}"
    lines = [f"# {escaped(card.name)}{version}"]
    for part in (*card.parts, how_to_use(card)):
        lines += ["", f"## {escaped(part.title)}", *_part(part)]
    return ("\n".join(lines) + "\n").encode(errors="replace")  # a text of the data may be none


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", visible(text).strip())


def _line(*texts: str) -> str:
    """Return texts, with colons between, as the beginning of a paragraph, which they make no list or rule of."""
    return _MARKER.sub(_ESCAPED_MARKER, ": ".join(map(escaped, texts)))


def _part(part: CardPart) -> Iterator[str]:
    if part.facts:
        yield ""
        yield from (f"- {_line(name, text)}" for name, text in part.facts.items())
    for table in part.tables:
        yield from _table(table)
    if part.sentences:
        yield ""
        yield from (f"- {_line(sentence)}" for sentence in part.sentences)
    if part.commands:
        yield from ("", *_fenced(part.commands))


def _table(table: CardTable) -> Iterator[str]:
    yield from ("", f"{_line(table.title)}:", "")
    yield _row(table.columns)
    yield f"|{' --- |' * len(table.columns)}"
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def _fenced(commands: Sequence[str]) -> Iterator[str]:
    """Yield commands as code; the fence is longer than any row of backticks in them."""
    shown = [visible(command) for command in commands]
    longest = max((len(ticks) for command in shown for ticks in _TICKS.findall(command)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}console", *(f"$ {command}" for command in shown), fence)
