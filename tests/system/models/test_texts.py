"""The served model makes of any text what the data phase does: ids exactly, TF-IDF within 1e-6."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.features import text as kind
from pipeline.errors import DataError
from pipeline.models import vocabulary
from pipeline.models.preprocessing import text as served
from pipeline.models.vocabulary import places
from pipeline.records.feature import FeatureSpec
from tests.models.made import TEXTS, text, text_rows

CODES = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
EVERY_CHARACTER = ["".join(map(chr, CODES[start : start + 4000])) for start in range(0, len(CODES), 4000)]
LEARNED = [*TEXTS, *EVERY_CHARACTER, "a b a b c", "x y z"]
WAYS: dict[str, dict[str, Any]] = {
    "words": {"length": 7},
    "pairs of words": {"ngrams": [1, 2], "length": 9},
    "runs of words": {"ngrams": [2, 4], "length": 5},
    "capitals": {"lowercase": False, "most": 40},
    "characters": {"tokens": "characters", "length": 30},
    "runs of characters": {"tokens": "characters", "ngrams": [1, 2, 5], "length": 40, "most": 5000},
    "weights": {"form": "tfidf", "ngrams": [1, 2], "most": 3000},
    "weights of characters": {"form": "tfidf", "tokens": "characters", "ngrams": [3], "most": 500},
}
NASTY = "\x00\t\n \x85\xa0\xad\u0130\u03a3\u03c2\u200b\u200d\u2028\u202e\ufeff\ufffd\uffff\U0001f600\U0010ffff"
TEXT = st.text(
    st.one_of(st.sampled_from("abcxyz AB,"), st.sampled_from(NASTY), st.characters(exclude_categories=["Cs"])),
    max_size=40,
).map(lambda found: unicodedata.normalize("NFC", found))


@cache
def ways(name: str) -> tuple[FeatureSpec, Any]:
    """Return a fitted feature, and what the served model does with it."""
    import tensorflow as tf

    spec = text(learned=LEARNED, **WAYS[name])
    taken = [tf.TensorSpec([None], tf.string)]
    return spec, tf.function(lambda raw: served.prepare(spec, raw), input_signature=taken, autograph=False)


def both(name: str, texts: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return what the data phase and what the served model makes of texts."""
    import tensorflow as tf

    spec, answer = ways(name)
    return kind.prepare(spec, text_rows("body", texts)), answer(tf.constant(texts, tf.string)).numpy()


def assert_same(name: str, texts: list[str]) -> None:
    expected, found = both(name, texts)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype == np.int32:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", WAYS)
@settings(deadline=None, max_examples=60)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_any_text_of_unicode_is_made_the_same_of(name: str, texts: list[str]) -> None:
    assert_same(name, texts)


@pytest.mark.parametrize("name", WAYS)
def test_every_character_is_read_the_same_way(name: str) -> None:
    assert_same(name, EVERY_CHARACTER)
    assert_same(name, [f"a{chr(code)}b" for code in CODES[::97]])


@pytest.mark.parametrize("name", ["words", "pairs of words", "weights"])
def test_a_text_of_a_million_characters_and_none_are_texts_too(name: str) -> None:
    assert_same(name, ["ab c " * 200_000, "", " "])
    assert_same(name, [])


def test_what_is_no_utf_8_is_answered_and_separates() -> None:
    import tensorflow as tf

    _, answer = ways("words")
    broken, separated = answer(tf.constant([b"see\xff\xfenoon", b"see noon"])).numpy()
    np.testing.assert_array_equal(broken, separated)


def test_a_text_is_found_only_where_its_hash_and_it_itself_are() -> None:
    import tensorflow as tf

    known = [f"word {number}" for number in range(1000)]
    asked = [*known[::-1], "word", "word 1000", "", "WORD 1", "słowo"]
    assert places(tf.constant(asked), known).numpy().tolist() == [*range(999, -1, -1), -1, -1, -1, -1, -1]
    assert places(tf.constant(["a", "b"]), ["b"]).numpy().tolist() == [-1, 0]


def test_another_key_is_taken_where_two_texts_have_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(vocabulary, "_HASHES", 4)  # of which three texts seldom have three
    known = ["one", "two", "three"]
    assert places(tf.constant(["three", "two", "one", "four", "five", "six"]), known).numpy().tolist() == [
        2, 1, 0, -1, -1, -1,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fitted": None}, "feature body: what was fitted is not a vocabulary"),
        ({"fitted": {"vocabulary": []}}, "feature body: what was fitted is not a vocabulary"),
        ({"shape": (1,), "dtype": "float32"}, "feature body: .* do not fit 1 weights"),
    ],
)
def test_what_was_not_fitted_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        served.layers(text().changed(**changes), None)


def test_a_feature_says_how_many_ids_it_has() -> None:
    spec = text(learned=["a b"])
    assert served.size(spec) == 4
    assert served.raw_input(spec) == ((), "string")
