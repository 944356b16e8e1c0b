"""Which settings read the annotations that stand in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.recognising import recognise_coco, recognise_csv, recognise_voc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("pictures/1.png", "pictures/2.png", "others/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def of_csv(folder: Path, header: str, line: str, name: str = "labels.csv") -> dict[str, Any] | None:
    (folder / name).write_text(f"{header}\n{line}\n")
    return recognise_csv(folder)


@pytest.mark.parametrize(
    "label", ["label", "class", "category", "target", "species", "class_name", "label_name", "Labels"]
)
def test_a_column_of_labels_is_known_by_its_name(folder: Path, label: str) -> None:
    found = of_csv(folder, f"id,file, {label} ", "7,1.png,cat")
    assert found == {
        "format": "csv", "train": "labels.csv", "images": "pictures", "image_column": "file", "label_column": label,
    }  # fmt: skip


@pytest.mark.parametrize("part", ["part", "split", "subset", "Set"])
def test_a_column_of_parts_is_known_by_its_name(folder: Path, part: str) -> None:
    found = of_csv(folder, f"file;kind;{part};label", "1.png;x;train;cat")
    assert found is not None
    assert (found["part_column"], found["delimiter"]) == (part, ";")


@pytest.mark.parametrize("known", ["split", "xmin,ymin,xmax,ymax", "part,x1,y1,x2,y2"])
def test_the_one_column_that_is_no_part_and_no_side_of_a_box_has_the_labels(folder: Path, known: str) -> None:
    found = of_csv(folder, f"file,{known},kind", f"1.png,{','.join('1' for _ in known.split(','))},cat")
    assert found is not None
    assert found["label_column"] == "kind"
    assert of_csv(folder, f"file,{known}", f"1.png,{','.join('1' for _ in known.split(','))}") is None


@pytest.mark.parametrize("sides", ["xmin,ymin,xmax,ymax", "x_min,y_min,x_max,y_max", "x1,y1,x2,y2"])
def test_columns_of_boxes_are_known_by_their_names(folder: Path, sides: str) -> None:
    found = of_csv(folder, f"file,label,{sides}", "1.png,cat,0,0,1,1")
    assert found is not None
    assert found["box_columns"] == sides.split(",")
    assert "box_columns" not in (of_csv(folder, f"file,label,{sides[:-3]}", "1.png,cat,0,0,1,1") or {})


@pytest.mark.parametrize(("delimiter", "name"), [("\t", "labels.TSV"), ("|", "labels.csv"), (";", "labels.csv")])
def test_lines_are_cut_by_what_comes_most(folder: Path, delimiter: str, name: str) -> None:
    found = of_csv(folder, delimiter.join(["file", "what"]), delimiter.join(["1.png", "a,b"]), name)
    assert found is not None
    assert (found["delimiter"], found["label_column"], found["train"]) == (delimiter, "what", name)


@pytest.mark.parametrize(
    ("header", "line"),
    [("file,a,b", "1.png,x,y"), ("file,label", "9.png,x"), ("file,label", "1.txt,x"), ("1.png", "x")],
)
def test_what_names_no_picture_or_no_label_is_not_taken(folder: Path, header: str, line: str) -> None:
    assert of_csv(folder, header, line) is None


def test_files_are_of_the_part_that_their_names_say(folder: Path) -> None:
    for name, picture in (("train.csv", "1.png"), ("val-2017.csv", "2.png"), ("test_others.csv", "3.png")):
        (folder / name).write_text(f"file,label\n{picture},cat\n")
    assert recognise_csv(folder) == {
        "format": "csv", "image_column": "file", "label_column": "label", "train": "train.csv", "images": "pictures",
        "validation": "val-2017.csv", "test": "test_others.csv", "test_images": "others",
    }  # fmt: skip
    (folder / "train.csv").unlink()
    assert (recognise_csv(folder) or {})["train"] in ("val-2017.csv", "test_others.csv")


def test_of_folders_with_the_same_name_the_one_is_taken_that_the_file_names(folder: Path) -> None:
    (folder / "others" / "1.png").touch()
    (folder / "others.json").write_text(
        json.dumps({"images": [{"file_name": "1.png"}], "annotations": [], "categories": []})
    )
    assert recognise_coco(folder) == {"format": "coco", "train": "others.json", "images": "others"}


@pytest.mark.parametrize(
    "content", ["[", "[]", "{}", '{"images": [], "annotations": [], "categories": []}',
                '{"images": [{"file_name": "9.png"}], "annotations": [], "categories": []}',
                '{"images": [7], "annotations": [], "categories": []}', '{"images": [{"file_name": "1.png"}]}'],
)  # fmt: skip
def test_a_json_that_is_no_coco_is_not_taken(folder: Path, content: str) -> None:
    (folder / "train.json").write_text(content)
    assert recognise_coco(folder) is None


@pytest.mark.parametrize(("name", "is_taken"), [("1.png", True), ("9.png", False), ("", False)])
def test_a_folder_of_xml_is_taken_if_its_pictures_are_there(folder: Path, name: str, is_taken: bool) -> None:
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "1.XML").write_text(f"<annotation><filename>{name}</filename></annotation>")
    found = {"format": "voc", "train": "Annotations", "images": "pictures"}
    assert recognise_voc(folder) == (found if is_taken else None)
