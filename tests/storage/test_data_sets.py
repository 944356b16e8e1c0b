"""Every row that a stage has read is in what it has made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Bug, DataError, StorageError
from pipeline.graph import Rows
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.data_sets import DataSet, read_data_set, require_all_accounted
from pipeline.storage.manifests import write_manifest

CLEAN = Rows(read="raw", kept="clean", rejected="quarantine", held="unlabelled")
NORMALIZE = Rows(read="split", kept="prepared")


def write(folder: Path, rows: int, parts: Mapping[str, int] | None = None) -> None:
    entry = FileEntry(path="part-00000.parquet", rows=rows, size_bytes=1, digest="sha256:0")
    counts = {"parts": dict(parts)} if parts else {}
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, Manifest(rows=rows, files=(entry,), columns={"id": "string"}, counts=counts))


@given(st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_rows_read_are_those_kept_rejected_and_held_back_or_it_is_a_bug(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int]
) -> None:
    root = tmp_path_factory.mktemp("account")
    for name, number in zip(("raw", "clean", "quarantine", "unlabelled"), rows, strict=True):
        write(root / name, number)
    if rows[0] == sum(rows[1:]):
        require_all_accounted(root, "clean", CLEAN)
        return
    with pytest.raises(Bug) as raised:
        require_all_accounted(root, "clean", CLEAN)
    assert str(raised.value) == (
        f"stage clean: {rows[0]} rows in raw, but {rows[1]} in clean, {rows[2]} in quarantine, {rows[3]} in unlabelled"
        ": they do not add up; please report it"
    )


def test_a_stage_that_makes_rows_has_none_to_account_for(tmp_path: Path) -> None:
    require_all_accounted(tmp_path, "ingest", Rows(kept="raw"))


def test_each_part_has_the_rows_that_it_had(tmp_path: Path) -> None:
    write(tmp_path / "split", 5, {"train": 3, "test": 2})
    write(tmp_path / "prepared" / "train", 3)
    write(tmp_path / "prepared" / "test", 2)
    require_all_accounted(tmp_path, "normalize", NORMALIZE)
    write(tmp_path / "prepared" / "train", 2)
    write(tmp_path / "prepared" / "test", 3)
    with pytest.raises(Bug, match="part test has 2 rows in split, but 3 in prepared"):
        require_all_accounted(tmp_path, "normalize", NORMALIZE)


def test_a_part_that_is_gone_is_named_though_the_sum_is_right(tmp_path: Path) -> None:
    write(tmp_path / "split", 5, {"train": 3, "validation": 0, "test": 2})
    write(tmp_path / "prepared" / "train", 5)
    with pytest.raises(Bug, match="part test has 2 rows in split, but 0 in prepared"):
        require_all_accounted(tmp_path, "normalize", NORMALIZE)


def test_the_parts_of_a_source_are_not_those_of_the_kept_rows_among_which_some_are_missing(tmp_path: Path) -> None:
    write(tmp_path / "raw", 5, {"train": 3, "test": 2})
    write(tmp_path / "clean", 4, {"train": 3, "test": 1})
    write(tmp_path / "quarantine", 1)
    require_all_accounted(tmp_path, "clean", Rows(read="raw", kept="clean", rejected="quarantine"))


def test_a_data_set_that_is_not_there_is_said(tmp_path: Path) -> None:
    write(tmp_path / "split", 5)
    with pytest.raises(StorageError, match="prepared: cannot be read: No such file"):
        require_all_accounted(tmp_path, "normalize", NORMALIZE)


def test_a_manifest_whose_files_have_other_rows_than_it_says_is_not_trusted(tmp_path: Path) -> None:
    write(tmp_path / "raw", 5)
    path = tmp_path / "raw" / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 5,', '"rows": 6,', 1))
    with pytest.raises(DataError, match=r"manifest\.json: says 6 rows, but its files have 5"):
        read_data_set(tmp_path / "raw")


def test_what_is_no_count_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "split", 5, {"train": 3, "test": 2, "none": 0})
    data = read_data_set(tmp_path / "split")
    assert (data.rows, data.is_divided, data.divided) == (5, False, {"train": 3, "test": 2})
    odd = {"parts": {"train": 3, "test": "2", "half": 0.5, "other": -1}, "proof": {}}
    manifest = next(iter(data.parts.values()))
    assert DataSet({"split": manifest.changed(counts=odd)}, is_divided=False).divided == {"train": 3}
    assert DataSet({"split": manifest.changed(counts={"parts": [3, 2]})}, is_divided=False).divided == {}
    assert DataSet({"split": manifest.changed(counts=odd)}, is_divided=False).has_proof is True
    assert data.has_proof is False


def test_a_folder_with_a_manifest_is_one_data_set_whatever_folders_are_in_it(tmp_path: Path) -> None:
    write(tmp_path / "raw", 5)
    write(tmp_path / "raw" / "old", 7)
    assert read_data_set(tmp_path / "raw").rows == 5


def test_an_empty_folder_is_a_data_set_without_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(StorageError, match=r"manifest\.json: missing"):
        read_data_set(tmp_path / "raw")
