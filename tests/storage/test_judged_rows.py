"""Rows are known again by their ids, whatever their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, StorageError
from pipeline.storage.judged_rows import keys_of, read_keys, to_bytes

ids = st.lists(st.text(st.characters(codec="utf-8")), unique=True)


def test_a_key_is_the_first_64_bits_of_the_hash_of_an_id() -> None:
    # printf a | sha256sum
    assert keys_of(["a"]).tolist() == [0xCA978112CA1BBDCA]


@given(ids)
def test_the_file_does_not_depend_on_the_order_of_the_rows(rows: list[str]) -> None:
    assert to_bytes(rows) == to_bytes(rows[::-1])


@given(ids)
def test_what_was_written_is_read_back_sorted(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> None:
    path = tmp_path_factory.mktemp("listed") / "rows.npy"
    path.write_bytes(to_bytes(rows))
    assert read_keys(path).tolist() == sorted(keys_of(rows).tolist())


def test_a_million_rows_are_eight_megabytes() -> None:
    assert len(to_bytes([f"{number:032x}" for number in range(1000)])) <= 8 * 1000 + 128


@pytest.mark.parametrize(
    "keys",
    [np.array([2, 1], np.uint64), np.array([1, 2], np.int64), np.array([[1]], np.uint64), np.array(["a"], object)],
    ids=["unsorted", "of another type", "of two dimensions", "of objects"],
)
def test_another_array_is_no_list_of_rows(tmp_path: Path, keys: np.ndarray) -> None:
    np.save(tmp_path / "rows.npy", keys)
    with pytest.raises(DataError, match=r"rows\.npy: is no "):
        read_keys(tmp_path / "rows.npy")


@pytest.mark.parametrize("content", [b"", b"no numpy", to_bytes(["0" * 32])[:-1]])
def test_a_damaged_file_is_no_list_of_rows(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.npy: is no list of rows"):
        read_keys(tmp_path / "rows.npy")


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_keys(Path("/nowhere/rows.npy"))
