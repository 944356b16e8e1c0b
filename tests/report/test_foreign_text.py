"""Texts of the data on the page: what would not be seen is named, what could turn its surroundings is isolated."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.foreign_text import foreign, shortened


def read(markup: str) -> tuple[str, list[str]]:
    """Return the text and the elements of markup."""
    texts, elements = list[str](), list[str]()

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            texts.append(data)

        def handle_starttag(self, tag: str, attrs: object) -> None:
            elements.append(tag)

    reader = Reader()
    reader.feed(markup)
    reader.close()
    return "".join(texts), elements


def test_printable_ascii_stays_as_it_is() -> None:
    assert foreign("UA, 12 % (a)") == "UA, 12 % (a)"


def test_a_formula_and_markup_are_text() -> None:
    assert read(foreign("=cmd|' /C calc'!A0")) == ("=cmd|' /C calc'!A0", [])
    assert read(foreign("<b onclick=x>&amp;")) == ("<b onclick=x>&amp;", [])


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\u202eabc", "U+202Eabc"),
        ("a\u200bb", "aU+200Bb"),
        ("a\ufe0fb", "aU+FE0Fb"),
        ("\u3164", "U+3164"),
        ("a\u00a0b", "aU+00A0b"),
        ("a\tb\n", "aU+0009bU+000A"),
        ("\x00\x1b[2J", "U+0000U+001B[2J"),
        ("\ud800", "U+D800"),
        ("\U000e0041", "U+E0041"),
    ],
)
def test_what_would_not_be_seen_is_named(text: str, seen: str) -> None:
    said, elements = read(foreign(text))
    assert said == seen
    assert elements[0] == "bdi"
    assert "span" in elements


def test_letters_from_right_to_left_are_isolated_and_stay() -> None:
    assert foreign("\u05e9\u05dc\u05d5\u05dd") == "<bdi>\u05e9\u05dc\u05d5\u05dd</bdi>"


def test_lines_stay_lines_where_they_are_shown_as_such() -> None:
    assert foreign("a\r\n\tb", has_lines=True) == "a\n\tb"
    assert read(foreign("a\rb", has_lines=True))[0] == "aU+000Db"


@given(st.text())
def test_no_text_brings_elements_of_its_own_or_control_characters(text: str) -> None:
    said, elements = read(foreign(text).replace("\ud800", ""))
    assert set(elements) <= {"bdi", "span"}
    assert all(each.isprintable() for each in said)


def test_a_beginning_says_that_it_is_one() -> None:
    assert (shortened("abcd", 4), shortened("abcde", 4)) == ("abcd", "abc…")
