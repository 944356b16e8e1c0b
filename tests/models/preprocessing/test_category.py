"""What was fitted of categories is taken or refused. TensorFlow's part of it: tests/system/models/test_columns.py."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.data import category_texts
from pipeline.data.features import category as kind
from pipeline.errors import DataError
from pipeline.models.preprocessing import category
from pipeline.models.preprocessing.category import layers, raw_input, size, vocabulary
from tests.data.columns import column_spec, fitted


def test_what_the_data_phase_fits_is_taken_and_one_more_index_is_unknown() -> None:
    spec = fitted(column_spec("category"), ["b", "b", "a"])
    assert vocabulary(spec) == ["b", "a"]
    assert size(spec) == 3
    assert layers(spec, "prepared") == "prepared"


@pytest.mark.parametrize(
    "fitted_as",
    [
        None,
        {},
        {"vocabulary": [], "fill": None},
        {"vocabulary": ["a", "a"], "fill": None},
        {"vocabulary": ["a", ""], "fill": None},
        {"vocabulary": ["a", 1], "fill": None},
        {"vocabulary": "ab", "fill": None},
        {"vocabulary": ["a"], "fill": 1},
    ],
    ids=str,
)
def test_what_is_no_vocabulary_is_refused(fitted_as: dict[str, Any] | None) -> None:
    spec = column_spec("category").changed(fitted=fitted_as)
    for verb in (size, lambda spec: layers(spec, None)):
        with pytest.raises(DataError, match=r"^feature x: what was fitted is no vocabulary .*; train it again$"):
            verb(spec)


def test_the_served_model_takes_a_text() -> None:
    assert raw_input(column_spec("category")) == ((), "string")


def test_blanks_and_the_longest_text_are_the_data_phase_s() -> None:
    assert category._OUTER_BLANKS == category_texts.OUTER_BLANKS
    assert kind._LONGEST == category_texts.LONGEST
