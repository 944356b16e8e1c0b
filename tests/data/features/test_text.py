"""Texts: what is unusable, what is equal, what is learned, what is prepared."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.data.feature_kinds import specs
from pipeline.data.features import text
from pipeline.data.features.text import EMPTY_TEXT, MISSING, NOT_UNICODE, TOO_LONG
from pipeline.errors import Bug, DataError
from pipeline.recipe.slots import Feature
from pipeline.records.feature import FeatureSpec
from tests.ranges import assert_ranges

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=1, max_size=8)


def spec_of(**settings: Any) -> FeatureSpec:
    [made] = specs({"body": Feature(kind="text", settings=settings)})
    return made


def rows(*texts: str | None) -> pa.Table:
    return pa.table({"body": pa.chunked_array([pa.array(texts, pa.string())])})


def examined(spec: FeatureSpec, *texts: str | None) -> Any:
    return text.examine(spec, rows(*texts), text.raw_digests(spec, rows(*texts)))


def fitted(spec: FeatureSpec, *texts: str | None) -> FeatureSpec:
    return spec.changed(fitted=text.fit(spec, [text.learn(spec, rows(*texts))]))


@pytest.mark.parametrize(
    ("settings", "given_text", "reason"),
    [
        ({}, "word", None),
        ({}, None, MISSING),
        ({}, "", EMPTY_TEXT),
        ({}, " \u200b…!\n", EMPTY_TEXT),
        ({"tokens": "characters"}, "…!", None),
        ({"tokens": "characters"}, " \u200b\n", EMPTY_TEXT),
        ({"missing": "empty"}, None, None),
        ({"missing": "empty"}, "…!", None),
        ({"largest_characters": 4}, "words", TOO_LONG),
        ({"largest_characters": 5}, "wörds", None),
        ({"missing": "empty", "largest_characters": 4}, "words", TOO_LONG),
        ({}, "a" * 1_000_000, None),
        ({}, "a" * 1_000_001, TOO_LONG),
        ({}, "\u05e9\u05dc\u05d5\u05dd \u202e\u0639\u0627\u0644\u0645\u202c", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_text_is_unusable_for_the_first_reason_that_applies(
    settings: dict[str, Any], given_text: str | None, reason: str | None
) -> None:
    found = examined(spec_of(**settings), "word", given_text, "word")
    assert found.reasons.tolist() == [None, reason, None]
    assert reason in (None, *text.REASONS)


def test_what_is_no_unicode_is_unusable_and_ends_nothing() -> None:
    contents = [b"a \xed\xa0\x80", b"\xff", b"fine"]
    column = pa.Array.from_buffers(pa.string(), 3, pa.array(contents, pa.binary()).buffers())
    table = pa.table({"body": column})

    found = text.examine(spec_of(), table, text.raw_digests(spec_of(), table))

    assert found.reasons.tolist() == [NOT_UNICODE, NOT_UNICODE, None]
    assert found.details[0] == "byte 2: invalid continuation byte"
    assert found.columns["body"].to_pylist() == [None, None, "fine"]


def test_a_detail_says_how_long_a_text_is_or_that_it_has_no_word() -> None:
    found = examined(spec_of(largest_characters=3), "four", "!")
    assert found.details.tolist() == ["4 characters, above 3", "no word in it"]


def test_two_ways_to_write_one_text_are_the_same_one_in_form_nfc() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    found = examined(spec_of(), composed, decomposed)
    assert found.columns["body"].to_pylist() == [composed, composed]
    assert found.held[0] == found.held[1]
    delivered = text.raw_digests(spec_of(), rows(composed, decomposed))
    assert delivered[0] == found.held[0] != delivered[1]


def test_a_missing_text_is_another_than_an_empty_one() -> None:
    spec = spec_of(missing="empty")
    found = examined(spec, None, "", "=")
    assert found.columns["body"].to_pylist() == [None, "", "="]
    assert len(set(found.held)) == len(set(text.raw_digests(spec, rows(None, "", "=")))) == 3


def test_the_vocabulary_is_what_most_texts_hold_and_says_how_many() -> None:
    spec = fitted(spec_of(at_least=2, missing="empty"), "b a", "b a a", "B c", None)
    assert spec.fitted is not None
    assert {name: spec.fitted[name] for name in ("vocabulary", "frequencies", "documents")} == {
        "vocabulary": ["b", "a"],
        "frequencies": [3, 2],
        "documents": 4,
    }
    assert FeatureSpec.from_json(spec.to_json(), "here") == spec


def test_a_vocabulary_without_a_term_is_refused_with_the_setting_to_lower() -> None:
    with pytest.raises(DataError, match=r"^data\.features\.body: no term occurs in 2 of the 2 training texts; lower "):
        fitted(spec_of(), "one", "two")


def test_ids_are_padded_at_the_end_and_keep_the_beginning() -> None:
    spec = fitted(spec_of(length=3, at_least=2, missing="empty"), "a b", "a b", "a")
    prepared = text.prepare(spec, rows("b a", "a x b b", None, "!"))
    assert prepared.dtype == np.int32
    assert prepared.tolist() == [[3, 2, 0], [2, 1, 3], [0, 0, 0], [0, 0, 0]]
    facts, nothing = text.describe(spec, prepared)
    assert facts["body_tokens"].tolist() == [2, 3, 0, 0]
    assert nothing is None


def test_tf_idf_has_a_weight_for_each_of_most_terms() -> None:
    spec = fitted(spec_of(form="tfidf", most=4, at_least=1), "a b", "a")
    prepared = text.prepare(spec, rows("b a a", "x"))
    idf = 1 + np.log(3 / 2)
    assert prepared == pytest.approx(np.array([[2, idf, 0, 0], [0, 0, 0, 0]]) / [[np.hypot(2, idf)], [1]])
    assert (prepared.dtype, spec.dtype, spec.shape) == (np.float32, "float32", (4,))
    assert text.describe(spec, prepared)[0]["body_tokens"].tolist() == [2, 0]


@pytest.mark.long
@given(TEXTS, st.integers(1, 4), st.randoms(), st.sampled_from(["ids", "tfidf"]))
def test_neither_pieces_nor_order_change_what_is_learned_and_prepared(
    texts: list[str | None], size: int, random: Any, form: str
) -> None:
    spec = spec_of(form=form, at_least=1, ngrams=[1, 2], length=5, most=50)
    pieces = [text.learn(spec, rows(*texts[start : start + size])) for start in range(0, len(texts), size)]
    random.shuffle(pieces)
    try:
        whole = fitted(spec, *texts)
    except DataError:
        return  # no text has a term
    again = spec.changed(fitted=text.fit(spec, pickle.loads(pickle.dumps(pieces))))
    assert again == whole
    alone = np.concatenate([text.prepare(whole, rows(one)) for one in texts])
    assert text.prepare(whole, rows(*texts)).tobytes() == alone.tobytes()


def test_a_text_is_never_prepared_before_it_is_known_what_its_words_are() -> None:
    with pytest.raises(Bug, match="feature body: prepared before it was fitted"):
        text.prepare(spec_of(), rows("a"))


def test_a_row_without_rows_is_prepared_too() -> None:
    spec = fitted(spec_of(at_least=1), "a")
    assert text.prepare(spec, rows()).shape == (0, 200)
    assert examined(spec_of()).reasons.shape == (0,)


def test_the_settings_and_their_ranges() -> None:
    made = text.Settings()
    assert (made.tokens, made.ngrams, made.lowercase, made.most, made.at_least) == ("words", (1,), True, 20_000, 2)
    assert (made.form, made.length, made.missing, made.largest_characters) == ("ids", 200, "reject", 1_000_000)
    assert_ranges(text.Settings, {}, most=(1, 200_000, 0, 200_001), at_least=(1, 1_000_000, 0, 1_000_001))
    assert_ranges(text.Settings, {}, length=(1, 10_000, 0, 10_001))
    for broken in ({"ngrams": []}, {"ngrams": [2, 1]}, {"ngrams": [1, 1]}, {"ngrams": [6]}, {"ngrams": [0]}):
        with pytest.raises(ValidationError):
            text.Settings.model_validate(broken)
    with pytest.raises(ValidationError):
        text.Settings.model_validate({"form": {"ids": 100}})


def test_what_is_asked_of_it_before_any_work() -> None:
    assert text.raw_columns("body") == {"body": "string"}
    assert text.facts("body") == {"body_tokens": "int32"}
    assert text.shape(text.Settings(length=7)) == (7,)
    assert text.shape(text.Settings(form="tfidf", most=9)) == (9,)
    assert text.largest_size(text.Settings(most=9)) == 11
    assert text.clean_columns(spec_of()) == {"body": pa.string()}
    assert text.working_bytes(spec_of(length=10)) == 4096 + 40
