"""A folder of class folders with whatever people and programs leave in one, taken in and cleaned on real Spark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.records.contract_result import ContractResult
from pipeline.storage.record_files import write_record
from tests.hostile_tree import CLASSES, Tree, write_hostile_tree
from tests.system.conftest import RunHere
from tests.system.data.faulty_rows import make_root, picture, row, table_of

SOURCE = {"name": "image_folder", "settings": {"largest_file_mib": 1}}
IMAGE = {"kind": "image", "settings": {"channels": 3, "height": 16, "width": 16, "resize": "crop"}}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    tree = write_hostile_tree(tmp_path_factory.mktemp("tree"), good=20)
    yield tree
    tree.close()


@pytest.fixture(scope="module")
def rows(
    tree: Tree, tmp_path_factory: pytest.TempPathFactory, run_here: RunHere
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the rows of each data set by their source, after stages ingest and clean."""
    data = {"source": SOURCE, "path": str(tree.folder), "classes": list(CLASSES), "features": {"image": IMAGE}}
    split = {"method": "stratified", "train": 0.6, "validation": 0.2, "test": 0.2}
    placeholder = [row(picture(0), 0)]
    root = make_root(tmp_path_factory.mktemp("hostile") / "project", placeholder, 1, data=data, split=split)
    run_here(root, "ingest")
    result = ContractResult(suite="s", rows=1, outcome="pass", expectations=(), data_digest="sha256:00")
    write_record(root / "reports/contracts/raw/result.json", result)
    run_here(root, "clean")
    found = {}
    for name in ("raw", "clean", "quarantine", "unlabelled"):
        table = table_of(root / "data" / name)
        found[name] = {each["source"]: each for each in table.to_pylist()}
        assert len(found[name]) == table.num_rows
    return found


def test_every_entry_is_where_it_belongs(tree: Tree, rows: dict[str, dict[str, dict[str, Any]]]) -> None:
    assert set(rows["raw"]) == set(tree.entries) - set(tree.of("left alone"))
    assert set(rows["clean"]) == set(tree.of("kept"))
    assert set(rows["unlabelled"]) == set(tree.of("held back"))
    assert set(rows["quarantine"]) == {*tree.of("problem"), *tree.of("rejected")}


def test_every_kept_picture_has_its_label(tree: Tree, rows: dict[str, dict[str, dict[str, Any]]]) -> None:
    for source, each in rows["clean"].items():
        assert each["label"] == tree.entries[source].label, source
        assert len(each["image"]) == 16 * 16 * 3


def test_every_odd_entry_is_in_quarantine_for_its_reason(
    tree: Tree, rows: dict[str, dict[str, dict[str, Any]]]
) -> None:
    for source, each in rows["quarantine"].items():
        assert each["reason"] in tree.entries[source].why, source
    assert rows["quarantine"]["birds/one.png"]["detail"] == "'birds' is none of data.classes (valid: cats, dogs)"
