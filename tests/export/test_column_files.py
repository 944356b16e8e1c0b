"""Raw values in files come back as they were."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.export.column_files import read_column, read_columns, read_texts, write_columns


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30)), st.lists(st.floats(width=64)))
def test_texts_and_numbers_come_back(texts: list[str], numbers: list[float]) -> None:
    values = np.empty(len(texts), np.object_)
    values[:] = texts
    with tempfile.TemporaryDirectory() as folder:
        write_columns(Path(folder), {"body": values, "fare": np.array(numbers, np.float64)})
        found = read_columns(Path(folder))
        assert read_column(Path(folder), "body", "string").tolist() == texts
    assert found["body"].tolist() == texts
    np.testing.assert_array_equal(found["fare"], np.array(numbers, np.float64))


@pytest.mark.parametrize("content", ['["a", 1]', '"a"', "{", ""])
def test_what_is_no_list_of_texts_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "body.json").write_text(content)
    with pytest.raises(DataError, match="no list of texts"):
        read_texts(tmp_path / "body.json")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], np.object_), allow_pickle=True)
    with pytest.raises(DataError, match="no array"):
        read_column(tmp_path, "x", "float64")
