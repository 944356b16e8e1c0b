"""What becomes of each character: kept, in lower case, dropped, or a separator; the same in any block of texts."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import characters
from pipeline.data.characters import CODE_POINTS, DROPPED, SEPARATOR, read, rule, table

WORDS = table(rule("words", lowercase=True))
CHARACTERS = table(rule("characters", lowercase=False))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("text", "words", "single"),
    [
        ("Grüße, Welt!", "grüße  welt ", "Grüße, Welt!"),
        ("a\tb\nc\x00d\x85e\u2028f", "a b c d e f", "a b c d e f"),
        ("so\u00adft\u200bly \u202eright\u202c \ufeff", "softly right ", "softly right "),
        ("1,5 €_²", "1 5   ²", "1,5 €_²"),
        ("שָׁלוֹם مرحبا", "שָׁלוֹם مرحبا", "שָׁלוֹם مرحبا"),
        ("ΟΔΟΣ", "οδοσ", "ΟΔΟΣ"),  # every sigma by itself: the last letter of a word is like the others
        ("İI", "İi", "İI"),  # of which the lower case would be two characters; and no language's rule
        ("😀 हिन्दी", "  हिन्दी", "😀 हिन्दी"),
        ("\ue000\uffff\U0010ffff", "   ", "   "),  # of private use, or never one
    ],
)
def test_letters_marks_and_numbers_make_words_and_formats_are_dropped(text: str, words: str, single: str) -> None:
    assert read([text], WORDS) == [words]
    assert read([text], CHARACTERS) == [single]


def test_the_rule_says_of_every_code_point_what_the_categories_do() -> None:
    for code in range(0, CODE_POINTS, 7):
        category = unicodedata.category(chr(code))
        expected = code if category[0] in "LMN" else DROPPED if category == "Cf" else SEPARATOR
        lower = chr(code).lower()
        assert WORDS[code] in (expected, ord(lower) if len(lower) == 1 else expected)
        assert CHARACTERS[code] == (code if category[0] in "LMNPS" else expected)


def test_what_is_small_stays_small_and_no_letter_becomes_a_separator() -> None:
    kept = WORDS[(WORDS != DROPPED) & (WORDS != SEPARATOR)]
    assert np.array_equal(WORDS[kept], kept)


def test_a_rule_is_plain_values_that_come_back_from_json() -> None:
    of = rule("words", lowercase=True)
    assert json.loads(json.dumps(of)) == of
    assert np.array_equal(table(json.loads(json.dumps(of))), WORDS)


@given(st.lists(TEXTS, max_size=6), st.integers(1, 40))
def test_a_text_is_read_by_itself_whatever_is_read_with_it(texts: list[str], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "_BLOCK_CHARACTERS", block)
        together = read(texts, WORDS)
    assert together == [one for text in texts for one in read([text], WORDS)]


@given(TEXTS)
def test_reading_is_the_table_character_by_character(text: str) -> None:
    become = [int(WORDS[ord(character)]) for character in text]
    assert read([text], WORDS) == ["".join(chr(code) for code in become if code != DROPPED)]


def test_no_texts_are_none() -> None:
    assert read([], WORDS) == []
