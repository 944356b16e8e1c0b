"""The flights that the benchmark makes, and when two ways have prepared the same rows."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import tables


@pytest.mark.long
def test_flights_are_repeated_a_year_later_so_that_no_two_are_the_same() -> None:
    rows = list(islice(tables.flights(), 2 * 113_018))
    first, again = rows[0], rows[113_018]
    assert again == first | {"time_hour": "2014-01-01T10:00:00Z"}
    assert first["time_hour"] == "2013-01-01T10:00:00Z"


@pytest.mark.long
def test_a_folder_of_them_has_as_many_rows_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PER_FILE", 40)
    tables.make_flights(tmp_path / "made", 100)
    made = [pd.read_csv(path) for path in sorted((tmp_path / "made").iterdir())]
    assert [len(table) for table in made] == [40, 40, 20]
    assert list(made[0].columns) == list(tables.COLUMNS)


def test_parts_that_are_cut_at_nearly_the_same_instants_are_alike() -> None:
    ours = {"train": 6000, "validation": 1000, "test": 3000}
    assert tables.is_alike(ours, {"train": 6040, "validation": 980, "test": 2980})
    assert not tables.is_alike(ours, {"train": 6060, "validation": 980, "test": 2960})
    assert not tables.is_alike(ours, ours | {"test": 3001})
