"""Rejected rows are counted and found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, UsageError
from pipeline.report.quarantine import RejectedFile, equal_rows, find_row, reasons
from tests.report.rejected_rows import SCHEMA, rejected, write_rows

UNKNOWN = "label outside the declared classes"


@pytest.fixture
def quarantine(tmp_path: Path) -> Path:
    return write_rows(
        tmp_path / "quarantine",
        [rejected(0xABCD0, "train.gz", 3), rejected(1 << 124, "cats/a.png", 0, UNKNOWN, column="label", detail="dgo")],
        [rejected(0xABCD1, "train.gz", 7), rejected((1 << 124) + 1, "cats/b:1.png")],
    )


def test_rows_are_counted_by_reason_and_file_the_commonest_first(quarantine: Path) -> None:
    duplicates, unknown = reasons(quarantine)
    assert (duplicates.reason, duplicates.column, duplicates.rows) == ("exact duplicate", None, 3)
    assert duplicates.files == (RejectedFile("train.gz", 2, (3, 7)), RejectedFile("cats/b:1.png", 1, (0,)))
    assert (unknown.reason, unknown.column, unknown.files) == (UNKNOWN, "label", (RejectedFile("cats/a.png", 1, (0,)),))


def test_files_that_are_not_told_are_counted(quarantine: Path) -> None:
    duplicates, _ = reasons(quarantine, most_files=1)
    assert (duplicates.rows, duplicates.file_count) == (3, 2)
    assert duplicates.files == (RejectedFile("train.gz", 2, (3, 7)),)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 99)), max_size=60))
def test_no_row_is_counted_twice_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int]]
) -> None:
    written = [rejected(n, source, row, reason) for n, (reason, source, row) in enumerate(rows)]
    folder = tmp_path_factory.mktemp("counted") / "quarantine"
    found = reasons(write_rows(folder, written[:7], written[7:]))
    counted = Counter({(each.reason, file.source): file.rows for each in found for file in each.files})
    assert counted == Counter((reason, source) for reason, source, _ in rows)
    assert sum(each.rows for each in found) == len(rows)


def test_a_quarantine_of_an_earlier_ratchet_has_reasons_without_columns(tmp_path: Path) -> None:
    schema = SCHEMA.remove(SCHEMA.get_field_index("column"))
    [found] = reasons(write_rows(tmp_path / "old", [rejected(1, "train.gz")], schema=schema))
    assert (found.column, found.rows) == (None, 1)


@pytest.mark.parametrize(
    ("name", "shard", "position"),
    [
        ("train.gz:7", 1, 0),
        (f"{0xABCD1:032x}", 1, 0),
        ("cats/a.png", 0, 1),
        ("cats/a.png:0", 0, 1),
        ("cats/b:1.png", 1, 1),
        ("1" + "0" * 31, 0, 1),
    ],
)
def test_a_row_is_found_by_its_id_or_its_place(quarantine: Path, name: str, shard: int, position: int) -> None:
    found = find_row(quarantine, name)
    assert (found.shard, found.position) == (f"part-{shard:05d}.parquet", position)
    assert found.values["image"] == b"\0" * 6


def test_a_name_of_several_rows_says_which_and_one_of_none_the_nearest(quarantine: Path) -> None:
    with pytest.raises(UsageError, match=r"'train\.gz' is 2 rejected rows: train\.gz:3, train\.gz:7; name one"):
        find_row(quarantine, "train.gz")
    with pytest.raises(UsageError, match=r"'1000' is 2 rejected rows: cats/a\.png:0, cats/b:1\.png:0; name one"):
        find_row(quarantine, "1000")
    with pytest.raises(UsageError, match=r"no rejected row 'cats/c\.png' \(did you mean 'cats/a\.png'\?\)"):
        find_row(quarantine, "cats/c.png")
    with pytest.raises(UsageError, match="no rejected row '100'"):
        find_row(quarantine, "100")  # three characters of an id may be any row's


def test_a_file_is_found_by_the_name_that_the_list_can_show_of_it(tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "odd", [rejected(1, "a\nb.png"), rejected(2, "c.png")])
    assert find_row(folder, r"a\nb.png").position == find_row(folder, r"a\nb.png:0").position == 0
    assert find_row(folder, "a\nb.png").position == 0


def test_rows_that_hold_the_same_are_found_but_for_the_row_itself(tmp_path: Path) -> None:
    folder = write_rows(
        tmp_path / "clean", [rejected(1, "a.gz", content_digest="x")], [rejected(2, "b.gz", content_digest="x")]
    )
    assert [row["source"] for row in equal_rows(folder, "x", None)] == ["a.gz", "b.gz"]
    assert [row["source"] for row in equal_rows(folder, "x", f"{1:032x}")] == ["b.gz"]
    assert len(equal_rows(folder, "x", None, most=1)) == 1
    assert equal_rows(folder, "y", None) == equal_rows(folder, None, None) == []


def test_a_damaged_quarantine_is_not_read(quarantine: Path) -> None:
    (quarantine / "part-00001.parquet").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"part-00001\.parquet: its bytes do not match"):
        reasons(quarantine)


def test_a_quarantine_without_rows_has_no_reasons(tmp_path: Path) -> None:
    assert reasons(write_rows(tmp_path / "empty")) == ()
