"""A model card as Markdown says what it holds, and nothing that stands in it becomes more than text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.records.model_card import CARD_FILE, CARD_PAGE, CardPart, CardTable, ModelCard
from pipeline.report.card_files import card_files, escaped, markdown
from pipeline.report.foreign_text import visible
from tests.report.reading import shown

READER = MarkdownIt("commonmark").enable("table")
HARM = (
    "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "<script>alert(1)</script>",
    "<http://evil.example>",
    "http://evil.example www.evil.example",
    "`` code `",
    "a | b",
    "# heading",
    "1. item",
    "- item",
    "***",
    "---",
    "a\n\n# heading",
    "\\",
    "&lt;b&gt; &#42;",
    "_x_ __y__ ~~z~~",
    "\u202egnp.exe \u05e9\u05dc",
)


class _Read(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.add(tag)
        self.texts += [""] if tag in ("li", "td", "th", "p") else []

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


def card_with(text: str) -> ModelCard:
    table = CardTable(title=text, columns=("a", text), rows=((text, "b"),))
    part = CardPart(title="Part", facts={text: text}, tables=(table,), sentences=(text,), commands=(text,))
    return ModelCard(name="pets", digest="sha256:0", request=json.dumps({"x": text}), parts=(part,))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
@example(HARM[0])
@example("\u05d0")
@example("a" * 20 + "`" * 5)
def test_a_text_is_shown_as_it_is_wherever_it_stands(text: str) -> None:
    read = _Read(READER.render(markdown(card_with(text)).decode()))
    assert read.elements <= {"h1", "h2", "ul", "li", "p", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    tokens = READER.parse(markdown(card_with(text)).decode())
    assert [token.type for token in tokens].count("list_item_open") == 2  # the fact and the sentence
    plain = visible(text).strip()
    for place in (f"{plain}: {plain}", plain):
        assert place.strip() in [each.strip() for each in read.texts]


@pytest.mark.parametrize("text", HARM)
def test_nothing_of_a_text_becomes_markup(text: str) -> None:
    read = _Read(
        READER.render(f"- x: {escaped(text)}\n\n| {escaped(text)} | y |\n| --- | --- |\n| {escaped(text)} | y |")
    )
    assert read.elements == {"ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert [each.strip() for each in read.texts].count(visible(text).strip()) == 2


def test_addresses_become_no_links_where_a_reader_looks_for_them() -> None:
    assert escaped("see https://x.example and www.x.example") == "see https:\\//x.example and www\\.x.example"


def test_what_would_not_be_seen_is_named() -> None:
    assert escaped("a\u200bb\r\nc") == "aU+200BbU+000DU+000Ac"
    assert escaped("\u05e9") == "\u2068\u05e9\u2069"


def test_the_card_has_its_number_and_how_it_is_used() -> None:
    card = card_with("x").changed(version=3)
    files = card_files(card)
    assert ModelCard.from_json(json.loads(files[CARD_FILE]), CARD_FILE) == card
    text = files[CARD_PAGE].decode()
    assert text.startswith("# pets v3\n")
    assert "$ ratchet export pets@3 --to served\n" in text
    assert """-d '{"x": "x"}'\n""" in text


@pytest.mark.long
def test_the_page_shows_the_card(whole_project: Path) -> None:
    text = shown(whole_project)
    for said in (
        "fashion_mnist v4, as the registry keeps it",
        "4 classes: boot, coat, bag, shirt",
        "a picture of any size (grey), made 10 × 10",
        "exact duplicate 12",
        "ratchet export fashion_mnist@4 --to served",
        "curl --data-binary @picture.png",
    ):
        assert said in text, said


def test_a_page_without_a_card_says_so(project: Path) -> None:
    (project / "reports" / "card" / CARD_FILE).unlink()
    assert "Nothing is registered yet." in shown(project)
