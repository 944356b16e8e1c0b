"""A source that keeps dated snapshots can say what it held on a past day; one that does not, says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.snapshots import dates, snapshot
from pipeline.errors import DataError, UsageError
from tests.data.conftest import litter


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for day in ("2026-10-01", "2026-11-05", "2026-11-20"):
        (tmp_path / day).mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "2026-12-01").write_text("a file is no snapshot")
    return tmp_path


@pytest.mark.parametrize(
    ("as_of", "found"),
    [
        (None, "2026-11-20"),
        ("2026-11-20", "2026-11-20"),
        ("2026-11-19", "2026-11-05"),
        ("2030-01-01", "2026-11-20"),
        ("2026-10-01", "2026-10-01"),
    ],
)
def test_the_newest_snapshot_that_is_not_younger_is_taken(source: Path, as_of: str | None, found: str) -> None:
    assert snapshot(source, as_of) == source / found


def test_what_other_programs_leave_beside_snapshots_is_left_alone(source: Path) -> None:
    before = dates(source)
    litter(source, "2026-11-20", "2027-01-01")
    (source / "2027-01-02").symlink_to("nowhere")
    (source / "２０２７-01-03").mkdir()  # noqa: RUF001 - digits, and no date for all that
    assert dates(source) == before


def test_before_the_first_snapshot_there_is_nothing(source: Path) -> None:
    with pytest.raises(DataError, match="its first snapshot is 2026-10-01"):
        snapshot(source, "2026-09-30")


def test_a_source_without_snapshots_is_taken_as_it_is(tmp_path: Path) -> None:
    assert dates(tmp_path) == []
    assert snapshot(tmp_path, None) == tmp_path
    with pytest.raises(UsageError, match="has no snapshots"):
        snapshot(tmp_path, "2026-11-20")


def test_a_class_that_is_called_like_a_snapshot_is_told(source: Path) -> None:
    with pytest.raises(UsageError, match=r"'2026-11-05' is a class, and .* set ingest\.snapshots: false if"):
        snapshot(source, None, ("2026-11-05", "other"))
    assert snapshot(source, None, ("2026-11-06", "other")).name == "2026-11-20"


def test_a_folder_that_only_looks_like_a_date_is_told(tmp_path: Path) -> None:
    (tmp_path / "2026-13-40").mkdir()
    with pytest.raises(DataError, match="named like a date"):
        dates(tmp_path)


@given(st.dates(), st.lists(st.dates(), min_size=1, max_size=5, unique=True))
def test_what_is_taken_is_never_from_the_future(tmp_path_factory: pytest.TempPathFactory, day, kept) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("source")
    for each in kept:
        (folder / each.isoformat()).mkdir()
    older = [each for each in kept if each <= day]
    if older:
        assert snapshot(folder, day.isoformat()).name == max(older).isoformat()
    else:
        with pytest.raises(DataError):
            snapshot(folder, day.isoformat())
