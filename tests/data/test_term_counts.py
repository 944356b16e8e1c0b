"""Documents are counted exactly, in whatever pieces; the vocabulary's order is one that no locale decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.term_counts import TermCounts

DOCUMENTS = st.lists(st.lists(st.sampled_from(["a", "b", "B", "é", "z", "ab"]), max_size=5), max_size=12)


def test_a_term_counts_once_in_a_document() -> None:
    counted = TermCounts.of([["a", "a", "b"], ["a"], []])
    assert (counted.documents, dict(counted.terms)) == (3, {"a": 2, "b": 1})


def test_terms_of_most_documents_come_first_then_by_code_points() -> None:
    counted = TermCounts.of([["é", "z", "B", "a"], ["z", "b", "a"], ["z"]])
    assert counted.vocabulary(10, 1) == ["z", "a", "B", "b", "é"]
    assert counted.vocabulary(2, 1) == ["z", "a"]
    assert counted.vocabulary(10, 3) == ["z"]
    assert counted.vocabulary(10, 4) == []


@given(DOCUMENTS, st.integers(1, 5), st.randoms())
def test_neither_the_pieces_nor_their_order_make_a_difference(documents: list[list[str]], size: int, random) -> None:
    pieces = [TermCounts.of(documents[start : start + size]) for start in range(0, len(documents), size)]
    random.shuffle(pieces)
    whole, total = TermCounts.of(documents), TermCounts.total(pieces)
    assert total == whole
    assert total.vocabulary(4, 1) == whole.vocabulary(4, 1)
