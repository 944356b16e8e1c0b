"""Pictures that a table names: read where they are, never outside the folder, each row accounted for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.data import table_pictures
from pipeline.data.problems import (
    BROKEN_LINK,
    FILE_TOO_LARGE,
    LINK_OUT,
    NAME_LEADS_OUT,
    NOT_A_FILE,
    NOT_A_PICTURE,
    NOT_THERE,
)
from tests.data.csv_files import rows, tables, wanted, write
from tests.hostile_tree import picture

ASKED = wanted("photo:image:file", "width:number")


def test_each_row_has_the_picture_that_it_names_or_why_not(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a" / "1.png", picture(1))
    write(folder / "2.png", b"no picture")
    write(folder / "large.png", picture(2) + b"\0" * 2**20)
    write(tmp_path / "out.png", picture(3))
    (folder / "out.png").symlink_to(tmp_path / "out.png")
    (folder / "inside.png").symlink_to(folder / "a" / "1.png")
    (folder / "broken.png").symlink_to("nowhere")
    os.mkfifo(folder / "fifo.png")
    names = ["a/1.png", "2.png", "out.png", "inside.png", "broken.png", "fifo.png", "../out.png", "/etc/passwd",
             "none.png", "a", "", "large.png"]  # fmt: skip
    write(
        folder / "t.csv", "file,width,y\n" + "".join(f"{name},{place},1\n" for place, name in enumerate(names)) + "x\n"
    )
    found = rows(folder, ASKED, target="y", largest_file_mib=1)
    assert [row["problem"] for row in found] == [
        None, NOT_A_PICTURE, LINK_OUT, None, BROKEN_LINK, NOT_A_FILE, NAME_LEADS_OUT, NAME_LEADS_OUT, NOT_THERE,
        NOT_A_FILE, None, FILE_TOO_LARGE, "another number of values than columns",
    ]  # fmt: skip
    assert [row["photo"] for row in found] == [
        picture(1) if place in (0, 3) else None for place in range(len(found))
    ]  # fmt: skip
    assert found[0]["photo_encoding"] == "png"
    assert found[0]["photo_height"] > 0
    assert [row["width"] for row in found] == ["0", None, None, "3", *[None] * 6, "10", None, None]
    assert found[1]["detail"] == "'2.png' begins with 6e 6f 20 70 69 63 74 75"
    assert [row["row"] for row in found] == list(range(1, 14))


def test_pictures_are_delivered_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_pictures, "BYTES_PER_SHARD", 3 * len(picture(1)))
    for number in range(10):
        write(tmp_path / f"{number}.png", picture(1))
    write(tmp_path / "t.csv", "file,width,y\n" + "".join(f"{number}.png,{number},1\n" for number in range(10)))
    found = tables(tmp_path, ASKED, target="y")
    assert [table.num_rows for table in found] == [3, 3, 3, 1]
    assert [value for table in found for value in table["width"].to_pylist()] == [str(number) for number in range(10)]
    assert [table.column_names for table in found] == [found[0].column_names] * 4
