"""Annotated pictures: one label each by a stated rule, and every annotation accounted for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data.opening import open_source, recognised
from pipeline.data.source_rows import Source
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, UsageError
from pipeline.recipe.slots import Choice
from tests.hostile_tree import picture

CLASSES = ("cats", "dogs")
CSV = {"format": "csv", "train": "labels.csv", "images": "pictures"}
COCO = {"format": "coco", "train": "train.json", "images": "pictures"}
VOC = {"format": "voc", "train": "Annotations", "images": "pictures"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        path = tmp_path / "set" / "pictures" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return tmp_path / "set"


def opened(folder: Path, settings: Mapping[str, Any]) -> Source:
    return open_source(Choice(name="annotations", settings=dict(settings)), folder, Wanted(CLASSES))


def rows(folder: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    source = opened(folder, settings)
    found = pa.concat_tables(source.tables).to_pylist()
    assert source.rows == len(found)
    assert source.test_rows == sum(row["part"] == "test" for row in found)
    return found


def fates(folder: Path, settings: Mapping[str, Any]) -> dict[tuple[str, int], tuple[str, int | None, str | None]]:
    """Return part, label and problem by source and row; of a row that can be used, its bytes are the file's."""
    found = rows(folder, settings)
    for row in found:
        if row["problem"] is None:
            assert row["image"] == (folder / row["source"]).read_bytes()
    fates = {(row["source"], row["row"]): (row["part"], row["label"], row["problem"]) for row in found}
    assert len(fates) == len(found)
    return fates


UNLABELLED = ("train", None, None)


def test_a_line_of_csv_is_a_pictures_label_and_what_no_line_names_is_unlabelled(folder: Path) -> None:
    (folder / "labels.csv").write_text('\ufefffile,label\n0.png,cats\n"1.png", dogs \n2.png,\n', encoding="utf-8")
    assert fates(folder, CSV) == {
        ("pictures/0.png", 0): ("train", 0, None),
        ("pictures/1.png", 0): ("train", 1, None),
        ("pictures/2.png", 0): UNLABELLED,
        ("pictures/3.png", 0): UNLABELLED,
        ("pictures/4.png", 0): UNLABELLED,
    }


def test_every_odd_line_of_csv_is_accounted_for(folder: Path) -> None:
    lines = ["file;label;split", "0.png;cats;train", "1.png;birds;TEST", "2.png;cats;", "2.png;dogs;", "3.png;cats;huh",
             "4.png;cats", "", "9.png;cats;val", "../secret.png;cats;", "/etc/passwd;cats;", ";cats;"]  # fmt: skip
    (folder / "labels.csv").write_text("\n".join(lines))
    assert fates(folder, {**CSV, "delimiter": ";", "part_column": "split"}) == {
        ("pictures/0.png", 0): ("train", 0, None),
        ("pictures/1.png", 0): ("test", -1, None),
        ("pictures/2.png", 0): ("train", None, "annotated twice"),
        ("pictures/3.png", 0): ("train", None, "annotation cannot be understood"),
        ("pictures/4.png", 0): ("train", None, "annotation cannot be understood"),
        ("labels.csv", 6): ("validation", None, "annotated file is not there"),
        ("labels.csv", 7): ("train", None, "name leads out"),
        ("labels.csv", 8): ("train", None, "name leads out"),
        ("labels.csv", 9): ("train", None, "annotation cannot be understood"),
    }
    details = {row["source"]: row["detail"] for row in rows(folder, {**CSV, "delimiter": ";", "part_column": "split"})}
    assert details["pictures/4.png"] == "line 7: 2 values, 3 expected"
    assert details["pictures/1.png"] == "'birds' is none of data.classes (valid: cats, dogs)"


BOXED = {**CSV, "box_columns": ["x1", "y1", "x2", "y2"]}
BOXES = """file,label,x1,y1,x2,y2
0.png,cats,0,0,2,2
0.png,cats,5,5,9,9
1.png,cats,0,0,2,2
1.png,dogs,0,0,3,2
2.png,cats,0,0,0,2
3.png,,,,,
4.png,cats,0,0,2,3
4.png,dogs,0,0,3,2
"""


@pytest.mark.parametrize(
    ("several", "first", "second"),
    [("single", 0, (None, "several labels")), ("largest", 0, (1, None))],
)
def test_several_boxes_have_one_label_by_the_rule(
    folder: Path, several: str, first: int, second: tuple[int | None, str | None]
) -> None:
    (folder / "labels.csv").write_text(BOXES)
    assert fates(folder, {**BOXED, "several": several}) == {
        ("pictures/0.png", 0): ("train", first, None),
        ("pictures/1.png", 0): ("train", *second),
        ("pictures/2.png", 0): ("train", None, "annotation cannot be understood"),
        ("pictures/3.png", 0): ("train", None, "annotated without a box"),
        ("pictures/4.png", 0): ("train", None, "several labels"),  # none is the largest
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,labels\n0.png,cats\n", r"no column 'label' \(did you mean 'labels'\?\)"),
        (b"file,label\n0.png,\xff\n", "no UTF-8 at byte 17"),
        (b"file,label\n0.png,\0\n", "holds a zero byte"),
        (b'file,label\n"0.png,cats\n', "line 2: no CSV"),
        (b"label,file,label\ncats,0.png,dogs\n", "2 columns 'label'; rename all but one"),
        (b"", "annotations: empty"),
        (b"file,label\n", "no annotation in it"),
        (b"file,label\nx/0.png,cats\n", r"none of the 1 annotated pictures is there, 'x/0\.png' for one; set data\.s"),
    ],
)
def test_a_csv_that_is_none_as_a_whole_is_an_error(folder: Path, content: bytes, message: str) -> None:
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        opened(folder, CSV)


def coco(**changes: Any) -> bytes:
    values = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(4)],
        "categories": [{"id": 7, "name": "cats"}, {"id": 3, "name": "dogs"}],
        "annotations": [
            {"image_id": 0, "category_id": 7, "bbox": [0, 0, 4, 4]},
            {"image_id": 0, "category_id": 3, "bbox": [0, 0, 4.5, 4]},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]},
        ],
    }
    return json.dumps(values | changes).encode()


def test_coco_is_reduced_to_a_label_for_each_image(folder: Path) -> None:
    (folder / "train.json").write_bytes(coco())
    expected = {
        ("pictures/0.png", 0): ("train", None, "several labels"),
        ("pictures/1.png", 0): ("train", 1, None),
        ("pictures/2.png", 0): ("train", None, "annotated without a box"),
        ("pictures/3.png", 0): ("train", None, "annotated without a box"),
        ("pictures/4.png", 0): UNLABELLED,
    }
    assert fates(folder, COCO) == expected
    largest = {("pictures/0.png", 0): ("train", 1, None)}
    assert fates(folder, {**COCO, "several": "largest"}) == expected | largest


def test_every_odd_entry_of_coco_is_accounted_for(folder: Path) -> None:
    images = [
        {"id": 0, "file_name": "0.png"},
        {"id": 0, "file_name": "1.png"},
        {"id": 2, "file_name": "2.png"},
        {"id": 3, "file_name": "2.png"},
        {"id": 4, "file_name": "nowhere.png"},
        {"id": 5, "file_name": "../../secret.png"},
        {"id": 6},
        "no image",
        {"id": 8, "file_name": "3.png"},
        {"id": 9, "file_name": "4.png"},
        {"id": 10, "file_name": "\ud800.png"},
    ]
    annotations = [
        {"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1]},
        {"image_id": 9, "category_id": 7, "bbox": [0, 0, float("nan"), 1]},
        {"image_id": 99, "category_id": 7, "bbox": [0, 0, 1, 1]},
    ]
    (folder / "train.json").write_bytes(coco(images=images, annotations=annotations))
    assert fates(folder, COCO) == {
        ("pictures/0.png", 0): ("train", None, "annotation cannot be understood"),
        ("pictures/1.png", 0): ("train", None, "annotation cannot be understood"),
        ("pictures/2.png", 0): ("train", None, "annotated twice"),
        ("pictures/3.png", 0): ("train", None, "annotation cannot be understood"),
        ("pictures/4.png", 0): ("train", None, "annotation cannot be understood"),
        ("train.json", 4): ("train", None, "annotated file is not there"),
        ("train.json", 5): ("train", None, "name leads out"),
        ("train.json", 6): ("train", None, "annotation cannot be understood"),
        ("train.json", 7): ("train", None, "annotation cannot be understood"),
        ("train.json", 10): ("train", None, "annotated file is not there"),
        ("train.json", 2): ("train", None, "annotation cannot be understood"),  # annotations[2]
    }


@pytest.mark.parametrize(
    "annotation",
    [
        {"category_id": 5},  # which has two names
        {},  # there is a category without an id, too
        {"category_id": 7, "bbox": [0, 0, 10**400, 1]},
        {"category_id": 7, "bbox": [0, 0, 1, 10**400]},
        {"category_id": 7, "bbox": [0, 0, 0, 1]},
        {"category_id": 7, "bbox": [0, 0, 1, 0]},
        {"category_id": 7, "bbox": [0, 0, 1, 1, 1]},
        {"category_id": 7, "bbox": [0, 0, 1]},
        {"category_id": 7, "bbox": [0, 0, "1", 1]},
        {"category_id": 7, "bbox": "none"},
    ],
)
def test_a_box_of_no_size_or_of_no_one_category_is_a_problem(folder: Path, annotation: dict[str, Any]) -> None:
    categories = [{"id": 7, "name": "cats"}, {"id": 5, "name": "cats"}, {"id": 5, "name": "dogs"}, {"name": "dogs"}]
    box = {"image_id": 1, "bbox": [0, 0, 1, 1], **annotation}
    (folder / "train.json").write_bytes(coco(categories=categories, annotations=[3, box]))
    found = fates(folder, COCO)
    assert found["pictures/1.png", 0] == ("train", None, "annotation cannot be understood")
    assert found["train.json", 0] == ("train", None, "annotation cannot be understood")  # 3, which is about no image


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"images": []}', b"[" * 100_000, b'{"images": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_coco_is_an_error(folder: Path, content: bytes) -> None:
    (folder / "train.json").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.json"):
        opened(folder, COCO)


def test_parts_may_have_annotations_and_pictures_of_their_own(folder: Path) -> None:
    (folder / "others").mkdir()
    for number in range(4):
        (folder / "others" / f"{number}.png").write_bytes(picture(100 + number))
    (folder / "train.json").write_bytes(coco())
    (folder / "others.json").write_bytes(coco())
    found = fates(folder, {**COCO, "test": "others.json", "test_images": "others"})
    assert found["pictures/1.png", 0] == ("train", 1, None)
    assert found["others/1.png", 0] == ("test", 1, None)
    assert found["others/0.png", 0] == ("test", None, "several labels")
    both = fates(folder, {**COCO, "test": "others.json"})
    assert both["pictures/1.png", 0] == ("train", None, "annotated twice")


def voc(name: str, *boxes: tuple[str, int], head: str = "") -> str:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    sides = "<xmin>0</xmin><ymin>0</ymin><xmax>{}</xmax><ymax>2</ymax>"
    objects = "".join(
        f"<object><name>{label}</name><bndbox>{sides.format(width)}</bndbox>{part}</object>" for label, width in boxes
    )
    return f"{head}<annotation><folder>x</folder><filename>{name}</filename>{objects}</annotation>"


def test_voc_is_reduced_to_a_label_for_each_picture(folder: Path) -> None:
    laughs = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    files = {
        "0.xml": voc("0.png", ("cats", 3), ("cats", 9)),
        "1.xml": voc("1.png", ("cats", 3), ("dogs", 9)),
        "2.xml": voc("2.png"),
        "3.xml": voc("3.png", ("cats", 0)),
        "a.xml": voc("4.png", ("cats", 3), head=laughs),
        "b.xml": voc("nowhere.png", ("cats", 3)),
        "c.xml": "no XML",
        "e.xml": voc("4.png", ("cats", 3), head='<?xml version="1.0" encoding="nobodys"?>'),
        "d.xml": voc("../../secret.png", ("cats", 3)),
        "notes.txt": "not looked at",
    }
    (folder / "Annotations").mkdir()
    for name, text in files.items():
        (folder / "Annotations" / name).write_text(text)
    expected = {
        ("pictures/0.png", 0): ("train", 0, None),
        ("pictures/1.png", 0): ("train", None, "several labels"),
        ("pictures/2.png", 0): ("train", None, "annotated without a box"),
        ("pictures/3.png", 0): ("train", None, "annotation cannot be understood"),
        ("pictures/4.png", 0): UNLABELLED,  # its annotation is refused before it says what it is about
        ("Annotations/a.xml", 0): ("train", None, "annotation cannot be understood"),
        ("Annotations/b.xml", 0): ("train", None, "annotated file is not there"),
        ("Annotations/c.xml", 0): ("train", None, "annotation cannot be understood"),
        ("Annotations/d.xml", 0): ("train", None, "name leads out"),
        ("Annotations/e.xml", 0): ("train", None, "annotation cannot be understood"),
    }
    assert fates(folder, VOC) == expected
    assert fates(folder, {**VOC, "several": "largest"})["pictures/1.png", 0] == ("train", 1, None)


def test_odd_files_beside_annotations_have_their_problem_whatever_is_said_of_them(folder: Path) -> None:
    (folder / "pictures" / "0.png").write_bytes(b"")
    (folder / "pictures" / "1.png").unlink()
    (folder / "pictures" / "1.png").symlink_to("/etc/passwd")
    (folder / "pictures" / "notes.txt").write_text("notes")
    (folder / "elsewhere.png").write_bytes(picture(9))
    (folder / "labels.csv").write_text("file,label\n0.png,cats\n1.png,dogs\n2.png,cats\n")
    found = fates(folder, CSV)
    assert found["pictures/0.png", 0] == ("train", 0, "empty")
    assert found["pictures/1.png", 0] == ("train", 1, "link out of the folder")
    assert found["pictures/notes.txt", 0] == ("train", None, "not a picture")
    assert ("elsewhere.png", 0) not in found


def test_annotations_that_are_not_there_are_named_with_what_would_do(folder: Path) -> None:
    (folder / "lables.csv").write_text("file,label\n0.png,cats\n")
    with pytest.raises(DataError, match=r"labels\.csv does not exist; name the .* \(it looks like .*'lables\.csv'"):
        opened(folder, CSV)
    with pytest.raises(DataError, match="Annotations is no folder"):
        opened(folder, VOC)


@pytest.mark.parametrize("name", ["train", "validation", "test", "images", "validation_images", "test_images"])
@pytest.mark.parametrize("value", ["../labels.csv", "/etc", "a/../../b"])
def test_settings_that_lead_out_of_the_folder_are_refused(folder: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=r"data\.source.*leads out of data\.path"):
        opened(folder, {**CSV, "validation": "a.csv", "test": "b.csv", name: value})


@pytest.mark.parametrize("mib", [0, 4097])
def test_the_largest_file_of_annotations_has_bounds(folder: Path, mib: int) -> None:
    with pytest.raises(UsageError, match="largest_annotations_mib"):
        opened(folder, {**CSV, "largest_annotations_mib": mib})


def test_an_xml_file_that_cannot_be_read_says_why(folder: Path) -> None:
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "0.xml").write_text(voc("0.png", ("cats", 3)))
    (folder / "Annotations" / "1.xml").symlink_to("/etc/passwd")
    [row] = [row for row in rows(folder, VOC) if row["source"] == "Annotations/1.xml"]
    assert row["problem"] == "annotation cannot be understood"
    assert row["detail"] == "link out of the folder: only links to files inside the folder are followed"


def test_it_recognises_its_formats_with_settings_that_read_them(folder: Path) -> None:
    assert "annotations" not in recognised(folder)
    (folder / "labels.csv").write_text("id,file,label\n1,0.png,cats\n")
    settings = recognised(folder)["annotations"]
    assert settings == {**CSV, "image_column": "file", "label_column": "label"}
    assert fates(folder, settings)["pictures/0.png", 0] == ("train", 0, None)
    (folder / "train.json").write_bytes(coco())
    assert recognised(folder)["annotations"] == COCO
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "0.xml").write_text(voc("0.png", ("cats", 3)))
    assert recognised(folder)["annotations"] == VOC
