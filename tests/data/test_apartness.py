"""The proof counts the names as a set does, and names one that is in two parts, whatever the names' hashes are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.apartness import Hashes, Names, prove_apart
from pipeline.errors import DataError

PARTS = ("train", "validation", "test")
NAMES = [f"n{number}" for number in range(12)]


def named(names: list[str], hashes: dict[str, int], at_once: int = 3) -> Names:
    """Return names that are read some at a time, with hashes of their own."""

    def hashed(some: list[str]) -> Hashes:
        return np.array([hashes[name] for name in some], np.uint64)

    def read() -> Iterator[tuple[list[str], Hashes]]:
        for start in range(0, len(names), at_once):
            yield (some := names[start : start + at_once]), hashed(some)

    return Names(hashed(names), read)


hashes_of = st.fixed_dictionaries({name: st.integers(0, 5) for name in NAMES})  # many different names are alike
rows_of = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 2)), min_size=1, max_size=20)


@given(rows=rows_of, hashes=hashes_of)
def test_names_are_counted_and_one_in_two_parts_is_found_as_by_comparing_them_all(rows, hashes):
    names, codes = [name for name, _ in rows], np.array([code for _, code in rows], np.int8)
    unique = {name: number for number, name in enumerate(NAMES)}
    ids = [f"row {number}" for number in range(len(rows))]
    by_id = named(ids, {row_id: number for number, row_id in enumerate(ids)})
    for hashed in (hashes, unique):
        if len(set(rows)) > len(set(names)):
            with pytest.raises(DataError, match=r"split: content digest n\d+ is both in the \w+ and in the \w+ part"):
                prove_apart(PARTS, codes, {"id": by_id, "content_digest": named(names, hashed)})
        else:
            assert prove_apart(PARTS, codes, {"id": by_id, "content_digest": named(names, hashed)}) == {
                "rows": len(rows),
                "distinct_ids": len(rows),
                "distinct_content_digests": len(set(names)),
                "ids_in_two_parts": 0,
                "content_digests_in_two_parts": 0,
            }


def test_a_digest_or_an_id_in_two_parts_is_named_with_its_parts():
    codes, apart = np.array([0, 0, 0, 2], np.int8), named(["a", "b", "c", "d"], {"a": 1, "b": 2, "c": 3, "d": 4})
    twice = named(["x", "y", "z", "y"], {"x": 1, "y": 2, "z": 3})

    with pytest.raises(DataError, match=r"^split: id y is both in the train and in the test part; run stage clean"):
        prove_apart(PARTS, codes, {"id": twice, "content_digest": apart})
    with pytest.raises(
        DataError, match=r"^split: content digest y is both in the train and in the test part"
    ) as raised:
        prove_apart(PARTS, codes, {"id": apart, "content_digest": twice})
    assert "reject them: duplicates with split.method source, conflicts with a frozen split" in str(raised.value)
