"""Digests of rows by the column."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.row_digests import hex_digests, leading_bits


@given(texts=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))), cut=st.integers(0, 5))
def test_each_text_has_its_own_digest_and_the_bits_that_this_begins_with(texts, cut):
    column = pa.array(texts, pa.string())
    wanted = [hashlib.sha256(text.encode()).hexdigest() for text in texts]

    digests = hex_digests(column)
    assert digests.to_pylist() == wanted
    assert digests.type == pa.string()
    bits = [int(digest[:16], 16) for digest in wanted]
    assert leading_bits(digests).tolist() == bits
    assert leading_bits(digests.slice(cut)).tolist() == bits[cut:]
    assert leading_bits(pa.chunked_array([digests.slice(0, cut), digests.slice(cut)])).tolist() == bits
    assert leading_bits(digests).dtype == np.uint64


def test_of_no_rows_there_are_no_digests():
    assert hex_digests(pa.array([], pa.string())).to_pylist() == []
    assert leading_bits(pa.chunked_array([], pa.string())).tolist() == []


@pytest.mark.parametrize("text", ["", "0123456789abcde", "0123456789abcdeg", "0123456789ABCDEF"])
def test_what_is_no_digest_is_refused(text):
    with pytest.raises(ValueError, match="a digest has"):
        leading_bits(pa.array(["0" * 16, text]))
