"""A digest is of the content, and of nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records.digests import digest_bytes, digest_json


def test_the_digest_of_bytes_names_its_algorithm() -> None:
    assert digest_bytes(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_of_a_value_is_that_of_its_shortest_json() -> None:
    assert digest_json({"b": [1, None], "a": "x"}) == digest_bytes(b'{"a":"x","b":[1,null]}')


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_the_digest_of_a_value_does_not_depend_on_the_order_of_its_keys(value: dict[str, object]) -> None:
    assert digest_json(value) == digest_json(dict(reversed(value.items())))


def test_nan_has_no_digest() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest_json([float("nan")])
