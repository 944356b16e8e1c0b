"""Terms in the order in which they begin; the beginning of a text has the same terms as the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.characters import rule, table
from pipeline.data.tokens import terms

WORDS, CHARACTERS = table(rule("words", lowercase=True)), table(rule("characters", lowercase=True))


@pytest.mark.parametrize(
    ("tokens", "ngrams", "found"),
    [
        ("words", [1], ["to", "be", "or"]),
        ("words", [2], ["to be", "be or"]),
        ("words", [1, 2], ["to", "to be", "be", "be or", "or"]),
        ("words", [1, 3], ["to", "to be or", "be", "or"]),
        ("words", [4], []),
        ("characters", [1], ["t", "o", " ", "b", "e", ",", " ", "o", "r"]),
        ("characters", [8, 9], ["to be, o", "to be, or", "o be, or"]),
    ],
)
def test_terms_stand_in_the_order_in_which_they_begin_the_shorter_first(
    tokens: str, ngrams: list[int], found: list[str]
) -> None:
    assert list(terms(["  To\nbe,  or "], WORDS if tokens == "words" else CHARACTERS, tokens, ngrams)) == [found]


@given(
    st.lists(st.text("ab cé😀", max_size=40), max_size=4),
    st.sampled_from([[1], [2], [1, 2], [1, 2, 3, 4, 5], [3, 5]]),
    st.integers(1, 12),
    st.sampled_from(["words", "characters"]),
)
def test_so_many_terms_are_those_at_the_beginning(
    texts: list[str], ngrams: list[int], at_most: int, tokens: str
) -> None:
    every = list(terms(texts, CHARACTERS, tokens, ngrams))
    assert list(terms(texts, CHARACTERS, tokens, ngrams, at_most)) == [found[:at_most] for found in every]


def test_texts_without_a_token_have_no_terms() -> None:
    assert list(terms(["", " \n", "…!"], WORDS, "words", [1, 2])) == [[], [], []]
