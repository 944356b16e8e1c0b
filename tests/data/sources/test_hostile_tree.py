"""Of a folder with whatever people and programs leave in one, each entry is accounted for by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.data.opening import open_source
from pipeline.data.problems import PROBLEMS
from pipeline.data.wanted import Wanted
from pipeline.recipe.slots import Choice
from tests.hostile_tree import CLASSES, Tree, write_hostile_tree

SETTINGS = {"largest_file_mib": 1}


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = write_hostile_tree(tmp_path)
    yield tree
    tree.close()


def rows_of(tree: Tree) -> dict[str, dict[str, object]]:
    source = open_source(Choice(name="image_folder", settings=SETTINGS), tree.folder, Wanted(CLASSES))
    table = pa.concat_tables(source.tables)
    assert source.rows == table.num_rows
    rows = {row["source"]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    return rows


def test_the_tree_has_more_than_sixty_odd_entries(tree: Tree) -> None:
    assert len(tree.odd) > 60
    assert {each.fate for each in tree.entries.values()} == {"kept", "held back", "problem", "rejected", "left alone"}


def test_every_entry_is_a_row_by_its_name_and_what_is_left_alone_is_none(tree: Tree) -> None:
    assert set(rows_of(tree)) == set(tree.entries) - set(tree.of("left alone"))


def test_every_entry_that_cannot_be_used_has_its_problem_and_no_values(tree: Tree) -> None:
    rows = rows_of(tree)
    found = {source: (row["problem"],) for source, row in rows.items() if row["problem"]}
    assert found == {source: each.why for source, each in tree.of("problem").items()}
    assert {problem for (problem,) in found.values()} <= set(PROBLEMS)
    for source in found:
        assert {rows[source][column] for column in rows[source] if column.startswith("image")} == {None}


def test_every_other_entry_comes_with_its_own_bytes_and_its_label(tree: Tree) -> None:
    rows = rows_of(tree)
    for source, each in tree.entries.items():
        if each.fate in ("kept", "held back", "rejected"):
            assert rows[source]["label"] == each.label, source
            assert rows[source]["image"], source
    bytes_of = {path.read_bytes() for path in tree.folder.rglob("*") if path.is_file() and not path.is_symlink()}
    assert {row["image"] for row in rows.values() if row["image"]} <= bytes_of
    assert rows["birds/one.png"]["detail"] == "'birds' is none of data.classes (valid: cats, dogs)"


def test_nothing_outside_of_the_folder_is_read(tree: Tree) -> None:
    secret = (tree.folder.parent / "outside" / "secret.png").read_bytes()
    assert secret not in {row["image"] for row in rows_of(tree).values()}
