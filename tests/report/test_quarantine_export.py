"""Rejected rows as files: safely named, whole, and nothing written over."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from pipeline.report.quarantine_export import Exported, export
from tests.report.rejected_rows import rejected, write_rows


def png(side: int = 4) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((side, side), 7, np.uint8)).save(content, "PNG")
    return content.getvalue()


def pixels_of(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def lines(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "rows.csv").read_text(), newline="")))


@pytest.fixture
def quarantine(tmp_path: Path) -> Path:
    pixels = bytes(range(6))
    return write_rows(
        tmp_path / "quarantine",
        [
            rejected(1, "train.gz", 3, image=pixels),
            rejected(2, "../../etc/passwd", 0, "conflicting label", image=png(), image_encoding="png"),
        ],
        [
            rejected(3, 'a\nb,"c".png', 0, "not a picture (disguised)", image=b"MZ", image_encoding=None),
            rejected(4, "empty.png", 0, "empty file", image=None, image_encoding=None),
            rejected(5, "colour.npy", 0, image=bytes(18), image_channels=3),
        ],
    )


def test_every_row_is_in_the_list_and_every_payload_a_file_with_its_bytes(quarantine: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert export([quarantine], target) == Exported(rows=5, payloads=4)
    found = {row["source"]: row for row in lines(target)}
    assert found.keys() == {"train.gz", "../../etc/passwd", 'a\nb,"c".png', "empty.png", "colour.npy"}
    grey, picture, odd = (found[name]["image"] for name in ("train.gz", "../../etc/passwd", 'a\nb,"c".png'))
    assert grey == f"exact-duplicate/{1:032x}-image.pgm"
    assert (target / grey).read_bytes() == b"P5 3 2 255\n" + bytes(range(6))
    assert np.array_equal(pixels_of(target / grey), np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert (picture, (target / picture).read_bytes()) == (f"conflicting-label/{2:032x}-image.png", png())
    assert (odd, (target / odd).read_bytes()) == (f"not-a-picture-disguised/{3:032x}-image.bin", b"MZ")
    assert found["empty.png"]["image"] == ""
    assert pixels_of(target / found["colour.npy"]["image"]).shape == (2, 3, 3)


def test_no_file_is_named_by_the_source(quarantine: Path, tmp_path: Path) -> None:
    export([quarantine], tmp_path / "out")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written - {
        f"quarantine/{name}" for name in ("manifest.json", "part-00000.parquet", "part-00001.parquet")
    } == {
        "out/rows.csv",
        *(f"out/{row['image']}" for row in lines(tmp_path / "out") if row["image"]),
    }


def test_an_id_that_is_none_of_ours_names_no_file(tmp_path: Path) -> None:
    odd = [{**rejected(1, "a"), "id": "../../x"}, {**rejected(2, "b"), "id": None}]
    export([write_rows(tmp_path / "quarantine", odd)], tmp_path / "out")
    assert [row["image"] for row in lines(tmp_path / "out")] == [
        "exact-duplicate/row-0-image.pgm",
        "exact-duplicate/row-1-image.pgm",
    ]


def test_only_the_wanted_reasons_are_exported_and_an_unknown_one_is_refused(quarantine: Path, tmp_path: Path) -> None:
    assert export([quarantine], tmp_path / "some", ["empty file", "conflicting label"]).rows == 2
    with pytest.raises(UsageError, match=r"no row was rejected for 'empty' \(did you mean 'empty file'\?\)"):
        export([quarantine], tmp_path / "none", ["empty"])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "link to nothing"])
def test_nothing_is_written_over(quarantine: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    if kind == "file":
        target.write_text("mine")
    elif kind == "link to nothing":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
    if kind == "folder":
        (target / "mine").touch()
    with pytest.raises(UsageError, match="out is there already, and nothing is written over"):
        export([quarantine], target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "quarantine"]


def test_an_export_that_fails_leaves_nothing(quarantine: Path, tmp_path: Path) -> None:
    twice = write_rows(tmp_path / "twice", [rejected(1, "a"), rejected(1, "b")])
    with pytest.raises(Exception, match="cannot be written"):
        export([twice], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quarantine", "twice"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-12.5e3", "-12.5e3"),
        ("+7", "+7"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_formula_is_written_as_text(tmp_path: Path, value: str, written: str) -> None:
    export([write_rows(tmp_path / "quarantine", [rejected(1, "train.gz", detail=value)])], tmp_path / "out")

    assert [line["detail"] for line in lines(tmp_path / "out")] == [written]
