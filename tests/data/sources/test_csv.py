"""Source csv: which files are read, in which order, and what is refused before any row is."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from pipeline.data import opening
from pipeline.data.opening import recognised
from pipeline.data.source_rows import NothingThere
from pipeline.data.sources.csv import Settings, open_source, recognise
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, UsageError
from pipeline.recipe.slots import Choice
from tests.data.csv_files import rows, wanted, write
from tests.hostile_tree import picture

ASKED = wanted("a")
TABLE = "a,y\nx,1\nz,2\n"


def places(folder: Path, asked: Wanted = ASKED, **settings: Any) -> list[tuple[str, int]]:
    return [(row["source"], row["row"]) for row in rows(folder, asked, **{"target": "y", **settings})]


def test_files_are_read_in_the_order_of_their_names_and_rows_are_numbered_in_each(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", TABLE)
    write(tmp_path / "a.csv.gz", gzip.compress(TABLE.encode()))
    write(tmp_path / "c.txt", TABLE)
    write(tmp_path / "in" / "d.csv", TABLE)
    assert places(tmp_path) == [("a.csv.gz", 1), ("a.csv.gz", 2), ("b.csv", 1), ("b.csv", 2)]
    assert places(tmp_path, files=["*.txt"]) == [("c.txt", 1), ("c.txt", 2)]
    assert (
        places(tmp_path, files=["in/?.csv"])
        == places(tmp_path, files=["i*/d.csv"])
        == [("in/d.csv", 1), ("in/d.csv", 2)]
    )
    assert [name for name, row in places(tmp_path, files=["**/*.csv"]) if row == 1] == ["b.csv", "in/d.csv"]


def test_columns_are_found_by_name_whatever_their_place_in_a_file(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "a,b,y\n1,2,3\n")
    write(tmp_path / "b.csv", "y,a\n4,5\n")
    assert [(row["a"], row["label"]) for row in rows(tmp_path, ASKED, target="y")] == [("1", 3.0), ("5", 4.0)]


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    assert places(write(tmp_path / "a.csv", TABLE)) == [("a.csv", 1), ("a.csv", 2)]
    join = {"name": "w", "path": "w.csv", "key": ["a"], "time": {"columns": ["t"]}, "tolerance_minutes": 1,
            "columns": {"x": "w_x"}}  # fmt: skip
    with pytest.raises(UsageError, match=r"data.path: is a file; joins need a folder"):
        places(tmp_path / "a.csv", joins=[join])
    with pytest.raises(UsageError, match=r"data.path: is a file; pictures need a folder"):
        places(tmp_path / "a.csv", wanted("a:image"))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": ""}, "a.csv: is empty"),
        ({"a.csv": TABLE, "b.csv": "a,y\n"}, "b.csv: has a header and no rows"),
        ({"a.csv": TABLE, "b.csv": "x,1\nz,2\n"}, "b.csv: has no column 'a', .* its first line looks like a row"),
        ({"a.csv": "a;y\nx;1\n"}, "a.csv: has no column 'a', .* is its delimiter ';'"),
        ({"a.csv": "a,y,a\n1,2,3\n"}, "a.csv: two columns are called 'a'"),
        ({"a.csv.gz": TABLE}, "a.csv.gz: is called .gz and is no gzip"),
    ],
)
def test_a_file_that_cannot_be_a_table_is_refused_when_the_source_is_opened(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(DataError, match=said):
        open_source(Settings(target="y"), tmp_path, ASKED)  # type: ignore[arg-type]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", TABLE)
    write(tmp_path / "in" / "a.csv", TABLE)
    (tmp_path / "in" / "b.csv").symlink_to(tmp_path / "out.csv")
    with pytest.raises(DataError, match=r"b.csv: link out of the folder"):
        places(tmp_path / "in")


def test_a_folder_without_such_files_holds_nothing_of_this_format(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", TABLE)
    with pytest.raises(NothingThere, match=r"holds no file like \*.csv, \*.csv.gz"):
        places(tmp_path)


def test_the_recipes_choice_opens_it(tmp_path: Path) -> None:
    choice = Choice(name="csv", settings={"target": "y"})
    for path in (write(tmp_path / "in" / "a.csv", TABLE), tmp_path / "in"):
        [table] = opening.open_source(choice, path, ASKED).tables
        assert table["a"].to_pylist() == ["x", "z"]
    with pytest.raises(DataError, match=r"it looks like data.source: image_folder"):
        opening.open_source(choice, write(tmp_path / "cats" / "cats" / "1.png", picture(1)).parents[1], ASKED)


def test_every_row_is_accounted_for_in_its_order(tmp_path: Path) -> None:
    lines = ["a,y", "x,1", "x", 'x,"1', "x,2", "=cmd|' /C calc'!A0,3", "007,4", "NA,5", "None,x", "\u202eabc\u200b,6"]
    write(tmp_path / "a.csv", "\n".join(lines))
    found = rows(tmp_path, ASKED, target="y")
    assert [row["row"] for row in found] == list(range(1, 10))
    assert [row["a"] for row in found] == [
        "x", None, None, "x", "=cmd|' /C calc'!A0", "007", "NA", None, "\u202eabc\u200b",
    ]  # fmt: skip
    assert [row["label"] for row in found] == [1.0, None, None, 2.0, 3.0, 4.0, 5.0, None, 6.0]
    assert [row["problem"] for row in found if row["problem"]] == [
        "another number of values than columns", "quotes that do not pair", "target is not a number",
    ]  # fmt: skip


def test_it_recognises_its_files_and_their_dialect(tmp_path: Path) -> None:
    assert recognise(tmp_path) is None
    write(tmp_path / "a.csv", "a;b;c\n1,5;2;3\n4;5;6\n")
    assert recognise(tmp_path) == recognise(tmp_path / "a.csv") == {"delimiter": ";"}
    assert recognised(tmp_path)["csv"] == {"delimiter": ";"}
    write(tmp_path / "a.csv", TABLE)
    assert recognise(tmp_path) == {}
    write(tmp_path / "b.tsv", "a\ty\n1\t2\n")
    write(tmp_path / "a.csv", "a\ty\n1\t2\n")
    assert recognise(tmp_path) == {"files": ["a.csv", "b.tsv"], "delimiter": "\t"}


def test_it_leaves_a_folder_with_pictures_to_others(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", TABLE)
    write(tmp_path / "cats" / "1.png", picture(1))
    assert recognise(tmp_path) is None
