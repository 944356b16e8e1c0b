"""Reads files that say what is on pictures, CSV, COCO's JSON and Pascal VOC's XML, as boxes by picture.

CSV: RFC 4180, UTF-8, a header line. COCO: https://cocodataset.org/#format-data, "object detection". VOC: the
development kit of 2012, section 5. The bytes are not trusted: an entry that cannot be understood comes with its
problem, and a file that cannot be understood as a whole is an error.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from xml.parsers import expat

from pipeline.data.file_reading import Problem
from pipeline.data.problems import BAD_ANNOTATION, NO_BOX, SEVERAL_LABELS
from pipeline.errors import DataError, nearest

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_PICTURE = ("annotation", "filename")
_OBJECT = ("annotation", "object")
_LONGEST_TEXT = 4096
_DEEPEST = 100
_LARGEST_ID = 2**61 - 1  # of COCO; Python hashes whole numbers modulo this one: many could be made to collide


class Box(NamedTuple):
    """One label of a picture: its text (None: unlabelled), and its area in square pixels (None: the whole picture)."""

    label: str | None
    area: float | None = None


class Annotation(NamedTuple):
    """What a file says about one picture: its name as spelt (empty: of none), and its boxes, or why not.

    `row` is its number in the file, from 0; `part` the text of its part, if it has one.
    """

    name: str
    row: int
    boxes: tuple[Box, ...] = ()
    part: str | None = None
    problem: Problem | None = None


def reduced(annotation: Annotation, several: str) -> str | Problem | None:
    """Return the one label of a picture, None for unlabelled, or why it has none.

    `single`: all of its boxes have the same label. `largest`: that of its largest box; where two of them are the
    largest, both have to have it.
    """
    if annotation.problem:
        return annotation.problem
    if not annotation.boxes:
        return NO_BOX, None
    boxes = annotation.boxes
    if several == "largest":
        largest = max(math.inf if box.area is None else box.area for box in boxes)
        boxes = tuple(box for box in boxes if (math.inf if box.area is None else box.area) == largest)
    labels = {box.label for box in boxes}
    if len(labels) > 1:
        return SEVERAL_LABELS, ", ".join(sorted(repr(label) for label in labels))[:200]
    return labels.pop()


class CsvColumns(NamedTuple):
    """The names of a CSV file's columns: `box` are xmin, ymin, xmax, ymax."""

    image: str
    label: str
    part: str | None
    box: tuple[str, ...] | None
    delimiter: str


def read_csv(content: bytes, where: str, columns: CsvColumns) -> Iterator[Annotation]:
    """Yield an annotation for each line of a CSV file; with box columns, one for each picture.

    Raises DataError if it is no UTF-8, or if a column is missing.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: no UTF-8 at byte {error.start}; save it as UTF-8") from error
    if "\0" in text:
        raise DataError(f"{where}: no CSV: holds a zero byte; is it the right file?")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=columns.delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        for name in (columns.image, columns.label, columns.part, *(columns.box or ())):
            if name is not None and name not in header:
                raise DataError(f"{where}: no column '{name}'{nearest(name, header)}; name it in data.source.settings")
            if header.count(name or "") > 1:
                raise DataError(f"{where}: {header.count(name or '')} columns '{name}'; rename all but one")
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        raise DataError(f"{where}: line {reader.line_num}: no CSV: {error}") from error
    places = {name: header.index(name) for name in header}
    found = (_of_line(line, number, at, len(header), places, columns) for number, (at, line) in enumerate(lines))
    yield from _joined(found) if columns.box else found


def _of_line(
    line: list[str], number: int, at: int, width: int, places: Mapping[str, int], columns: CsvColumns
) -> Annotation:
    name = line[places[columns.image]].strip() if len(line) > places[columns.image] else ""
    if len(line) != width:
        problem = (BAD_ANNOTATION, f"line {at}: {len(line)} values, {width} expected")
        return Annotation(name, number, problem=problem)
    label = line[places[columns.label]].strip() or None
    part = (line[places[columns.part]].strip() if columns.part else None) or None
    if columns.box is None:
        return Annotation(name, number, (Box(label),), part)
    texts = [line[places[side]].strip() for side in columns.box]
    if not any(texts):
        return Annotation(name, number, (), part)
    area = _area(*texts)
    if area is None:
        return Annotation(name, number, (), part, (BAD_ANNOTATION, f"line {at}: no box: {', '.join(texts)}"))
    return Annotation(name, number, (Box(label, area),), part)


def _joined(found: Iterable[Annotation]) -> Iterator[Annotation]:
    """Yield one annotation for each picture, with all of its boxes and its first problem, in the order of the first."""
    pictures: dict[str, list[Annotation]] = {}
    for each in found:
        pictures.setdefault(each.name, []).append(each)
    for name, its in pictures.items():
        boxes = tuple(box for each in its for box in each.boxes)
        problem = next((each.problem for each in its if each.problem), None)
        if len({each.part for each in its}) > 1 and not problem:
            problem = (BAD_ANNOTATION, "its lines name several parts")
        yield Annotation(name, its[0].row, boxes, its[0].part, problem)


def read_coco(content: bytes, where: str) -> Iterator[Annotation]:
    """Yield an annotation for each of COCO's images, then one for each box of an image that is not listed.

    Raises DataError if it is no JSON of this form.
    """
    try:
        found = json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: no JSON: {error!s:.200}") from error
    lists: dict[str, list[Any]] = {}
    for key in ("images", "annotations", "categories"):
        value = found.get(key) if isinstance(found, dict) else None
        if not isinstance(value, list):
            raise DataError(f"{where}: no list '{key}' in it; expected COCO's images, annotations and categories")
        lists[key] = value
    labels = _coco_labels(lists["categories"])
    boxes: dict[Any, list[Box | Problem]] = {}
    places: dict[Any, int] = {}
    for number, each in enumerate(lists["annotations"]):
        image = _key(each, "image_id")
        boxes.setdefault(image, []).append(_coco_box(each, number, labels))
        places.setdefault(image, number)
    yield from _coco_images(lists["images"], boxes)
    for image, its in boxes.items():
        problem = next((each for each in its if not isinstance(each, Box)), None)
        no_image = (BAD_ANNOTATION, f"annotations[{places[image]}]: image {image!r:.100} is not listed")
        yield Annotation("", places[image], problem=problem or no_image)


def _coco_labels(categories: list[Any]) -> dict[int | str, str]:
    """Return the names of categories by their ids; of an id that has several names, none."""
    names: dict[int | str, set[str]] = {}
    for each in categories:
        number = _key(each, "id")
        if number is not None and _is_named(each, "name"):
            names.setdefault(number, set()).add(each["name"])
    return {number: name for number, (name, *others) in names.items() if not others}


def _coco_images(images: list[Any], boxes: dict[Any, list[Box | Problem]]) -> Iterator[Annotation]:
    """Yield an annotation for each image, and take its boxes out of `boxes`."""
    ids: dict[Any, int] = {}
    for each in images:
        ids[_key(each, "id")] = ids.get(_key(each, "id"), 0) + 1
    for number, each in enumerate(images):
        image = _key(each, "id")
        if image is None or not _is_named(each, "file_name"):
            yield Annotation("", number, problem=(BAD_ANNOTATION, f"images[{number}]: no id, or no file_name"))
            continue
        its = boxes.pop(image, [])
        problem = next((one for one in its if not isinstance(one, Box)), None)
        if ids[image] > 1:
            problem = (BAD_ANNOTATION, f"images[{number}]: id {image!r:.100} comes {ids[image]} times")
        yield Annotation(each["file_name"], number, tuple(b for b in its if isinstance(b, Box)), problem=problem)


def _coco_box(annotation: Any, number: int, labels: Mapping[int | str, str]) -> Box | Problem:
    category = _key(annotation, "category_id")
    label = None if category is None else labels.get(category)
    if label is None:
        return BAD_ANNOTATION, f"annotations[{number}]: its category is not listed, or has several names"
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) in (int, float) for side in box):
        return BAD_ANNOTATION, f"annotations[{number}]: no bbox of x, y, width, height"
    _, _, width, height = box
    largest = sys.float_info.max  # a whole number may be beyond it
    if not (0 < width <= largest and 0 < height <= largest):
        return BAD_ANNOTATION, f"annotations[{number}]: a bbox of {width!s:.50} × {height!s:.50}"
    return Box(label, float(width) * float(height))


def _key(value: Any, key: str) -> int | str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) or (type(found) is int and abs(found) < _LARGEST_ID) else None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        for key, _ in pairs:  # each is taken out once
            if key not in found:
                raise ValueError(f"key {key!r:.100} comes twice in one object")
            del found[key]
    return found


def _is_named(value: Any, key: str) -> bool:
    return isinstance(value, dict) and isinstance(value.get(key), str)


def read_voc(content: bytes, row: int) -> Annotation:
    """Return the annotation that one of VOC's XML files holds. One that declares a document type is refused."""
    reader = _VocReader()
    try:
        reader.read(content)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last for an encoding that nobody knows
        return Annotation(reader.name, row, problem=(BAD_ANNOTATION, f"{error!s:.200}"))
    return Annotation(reader.name, row, tuple(reader.boxes))


class _VocReader:
    """What expat has found so far. Of nested objects (the parts of a body) none is taken."""

    def __init__(self) -> None:
        self.name = ""
        self.boxes: list[Box] = []
        self._path: list[str] = []
        self._text = ""
        self._object: dict[str, str] = {}

    def read(self, content: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(content, True)
        if not self.name:
            raise ValueError("no filename in it")

    def _refuse(self, *_: Any) -> None:
        raise ValueError("declares a document type, and so perhaps entities; remove the declaration")

    def _start(self, tag: str, _: Any) -> None:
        self._path.append(tag)
        self._text = ""
        if len(self._path) > _DEEPEST:
            raise ValueError("nested too deeply")
        if tuple(self._path) == _OBJECT:
            self._object = {}

    def _characters(self, text: str) -> None:
        self._text = (self._text + text)[:_LONGEST_TEXT]

    def _end(self, tag: str) -> None:
        path, text = tuple(self._path), self._text.strip()
        if path == _PICTURE:
            self.name = text
        elif path in ((*_OBJECT, "name"), *((*_OBJECT, "bndbox", side) for side in _SIDES)):
            self._object[tag] = text
        elif path == _OBJECT:
            area = _area(*(self._object.get(side, "") for side in _SIDES))
            if not self._object.get("name") or area is None:
                raise ValueError("an object without a name, or without a bndbox of xmin, ymin, xmax, ymax")
            self.boxes.append(Box(self._object["name"], area))
        self._path.pop()
        self._text = ""


def _area(xmin: str, ymin: str, xmax: str, ymax: str) -> float | None:
    """Return the area of a box by its corners, None unless they are those of one."""
    try:
        width, height = float(xmax) - float(xmin), float(ymax) - float(ymin)
    except ValueError:
        return None
    return width * height if 0 < width < math.inf and 0 < height < math.inf else None
