"""Finds annotations in a folder, and the settings of source `annotations` that read them."""

from __future__ import annotations

import csv
import io
import json
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.data.annotation_files import read_voc
from pipeline.data.class_folders import PART_FOLDERS
from pipeline.data.file_reading import read_whole
from pipeline.data.picture_headers import ENDINGS
from pipeline.data.walking import walk

_LOOKED_AT = 20_000  # files
_LINES = 20
_LARGEST_BYTES = 2**28
LABEL_COLUMNS = ("label", "class", "category", "target", "species", "class_name", "label_name", "labels")
_PART_COLUMNS = ("part", "split", "subset", "set")
_BOXES = (("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"))


def recognise_voc(folder: Path) -> dict[str, Any] | None:
    """Return the settings for a folder with VOC's XML files in a folder `Annotations`, None if it has none."""
    names = _names(folder)
    for name in names:
        if name.lower().endswith(".xml"):
            content = read_whole(str(folder / name), _LARGEST_BYTES)
            found = read_voc(content, 0) if isinstance(content, bytes) else None
            images = _folder_of(found.name, names, name) if found and found.name else None
            if images is not None:
                return {"format": "voc", "train": str(PurePosixPath(name).parent), "images": images}
    return None


def recognise_coco(folder: Path) -> dict[str, Any] | None:
    """Return the settings for a folder with one of COCO's files for each part, None if it has none."""
    names, found = _names(folder), dict[str, Any]()
    for name in names:
        pair = _coco_pictures(folder / name, names) if name.lower().endswith(".json") else None
        if pair is not None:
            _add_part(found, name, pair)
    return _complete({"format": "coco"}, found)


def recognise_csv(folder: Path) -> dict[str, Any] | None:
    """Return the settings for a folder with CSV files whose lines name pictures, None if it has none."""
    names, found = _names(folder), dict[str, Any]()
    columns: dict[str, Any] = {}
    for name in names:
        if name.lower().endswith((".csv", ".tsv")):
            read = _csv_columns(folder / name, names)
            if read is not None:
                columns, images = read
                _add_part(found, name, images)
    return _complete({"format": "csv", **columns}, found)


def _names(folder: Path) -> list[str]:
    """Return the names of files in a folder, those that stand highest first."""
    names = [found.name for found in islice(walk(folder, lambda name, _: name.startswith(".")), _LOOKED_AT)]
    return sorted(names, key=lambda name: (name.count("/"), name))


def _folder_of(picture: str, names: list[str], beside: str) -> str | None:
    """Return the folder that a picture's name is relative to, None if the picture is not there.

    Of several, the first whose name is in that of the file of annotations: `train2017` of `instances_train2017.json`.
    """
    if picture in names:
        return "."
    folders = [name.removesuffix(f"/{picture}") for name in names if name.endswith(f"/{picture}")]
    alike = [folder for folder in folders if PurePosixPath(folder).name in PurePosixPath(beside).stem]
    return next(iter([*alike, *folders]), None)


def _coco_pictures(path: Path, names: list[str]) -> str | None:
    content = read_whole(str(path), _LARGEST_BYTES)
    try:
        found = json.loads(content) if isinstance(content, bytes) else None
        is_coco = isinstance(found, dict) and {"images", "annotations", "categories"} <= found.keys()
        return _folder_of(found["images"][0]["file_name"], names, path.name) if found and is_coco else None
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _csv_columns(path: Path, names: list[str]) -> tuple[dict[str, Any], str] | None:
    content = read_whole(str(path), _LARGEST_BYTES)
    if not isinstance(content, bytes):
        return None
    lines = content.decode("utf-8-sig", "replace").splitlines(keepends=True)[: _LINES + 1]
    delimiter = max(",;\t|", key="".join(lines[:1]).count)
    try:
        header, *rows = [line for line in csv.reader(io.StringIO("".join(lines)), delimiter=delimiter) if line]
    except (csv.Error, ValueError):
        return None
    for place, column in enumerate(header):
        values = [row[place] for row in rows if len(row) > place]
        pictures = [value for value in values if value.lower().endswith(ENDINGS)]
        images = next(
            (one for one in (_folder_of(each, names, path.name) for each in pictures) if one is not None), None
        )
        others = {each.strip().lower(): each.strip() for each in header if each != column}
        part = next((others[name] for name in _PART_COLUMNS if name in others), None)
        box = next(([others[side] for side in sides] for sides in _BOXES if others.keys() >= set(sides)), None)
        label = next((others[name] for name in LABEL_COLUMNS if name in others), None)
        unknown = [each for each in others.values() if each != part and each not in (box or ())]
        if label is None and len(unknown) == 1:
            [label] = unknown
        if images is not None and label is not None:
            optional = {"part_column": part, "box_columns": box, "delimiter": None if delimiter == "," else delimiter}
            settings = {"image_column": column.strip(), "label_column": label}
            return {**settings, **{key: value for key, value in optional.items() if value}}, images
    return None


def _add_part(found: dict[str, Any], file: str, images: str) -> None:
    """Note a part's annotations: of which part, the words of the file's name say; else it is the training part."""
    words = PurePosixPath(file).stem.lower().replace("-", "_").replace(".", "_").split("_")
    parts = [part for word in words for name, part in PART_FOLDERS.items() if word.rstrip("0123456789") == name]
    found.setdefault(parts[0] if parts else "train", (file, images))


def _complete(settings: dict[str, Any], found: dict[str, tuple[str, str]]) -> dict[str, Any] | None:
    if not found:
        return None
    if "train" not in found:  # nothing to learn from but this
        found["train"] = found.pop(next(iter(found)))
    images = found["train"][1]
    settings |= {part: file for part, (file, _) in found.items()} | {"images": images}
    others = {f"{part}_images": its for part, (_, its) in found.items() if part != "train" and its != images}
    return settings | others
