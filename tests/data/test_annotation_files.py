"""Boxes are reduced to one label, and any bytes are annotations or one clear error."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.annotation_files import Annotation, Box, CsvColumns, read_coco, read_csv, read_voc, reduced
from pipeline.data.problems import PROBLEMS
from pipeline.errors import DataError

BOXES = st.lists(st.builds(Box, st.sampled_from(["cat", "dog"]), st.sampled_from([1.0, 2.0, 3.5])), max_size=5)
COLUMNS = CsvColumns("file", "label", None, ("a", "b", "c", "d"), ",")


@given(BOXES)
def test_the_label_is_that_of_all_or_of_the_largest_boxes_or_there_is_none(boxes: list[Box]) -> None:
    annotation = Annotation("1.png", 0, tuple(boxes))
    if not boxes:
        assert reduced(annotation, "single") == reduced(annotation, "largest") == ("annotated without a box", None)
        return
    largest = {box.label for box in boxes if box.area == max(each.area or 0 for each in boxes)}
    for several, labels in (("single", {box.label for box in boxes}), ("largest", largest)):
        found = reduced(annotation, several)
        assert found == (labels.pop() if len(labels) == 1 else ("several labels", "'cat', 'dog'"))


@given(BOXES, st.randoms())
def test_the_order_of_boxes_makes_no_difference(boxes: list[Box], random: Any) -> None:
    shuffled = random.sample(boxes, len(boxes))
    for several in ("single", "largest"):
        assert reduced(Annotation("", 0, tuple(boxes)), several) == reduced(Annotation("", 0, tuple(shuffled)), several)


KEYS = st.sampled_from(["id", "image_id", "name", "bbox", "category_id", "file_name"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
)
COCO = st.fixed_dictionaries({key: st.lists(VALUES, max_size=4) for key in ("images", "annotations", "categories")})


def accounted(found: list[Annotation]) -> None:
    for each in found:
        assert each.problem is None or each.problem[0] in PROBLEMS
        assert reduced(each, "single") is None or reduced(each, "largest") is not None


@pytest.mark.long
@given(st.one_of(COCO, VALUES))
def test_any_json_is_annotations_or_one_error(values: Any) -> None:
    try:
        found = list(read_coco(json.dumps(values).encode(), "here"))
    except DataError as error:
        assert str(error).startswith("here: no list")
        return
    accounted(found)
    assert len([each for each in found if each.name or each.problem]) >= len(values["images"])


@pytest.mark.parametrize("missing", ["file", "label", "part", "a", "d"])
def test_a_column_that_is_missing_is_named(missing: str) -> None:
    columns = COLUMNS._replace(part="part")
    header = [name for name in ("file", "label", "part", "a", "b", "c", "d") if name != missing]
    with pytest.raises(DataError, match=f"^here: no column '{missing}' .*; name it in data.source.settings"):
        list(read_csv(f"{','.join(header)}\n".encode(), "here", columns))


@given(st.one_of(st.binary(max_size=100), st.text(alphabet='1,"\n\r ab\0', max_size=60).map(str.encode)))
def test_any_lines_are_annotations_or_one_error(lines: bytes) -> None:
    for content in (lines, b"file,label,a,b,c,d\n" + lines):
        try:
            accounted(list(read_csv(content, "here", COLUMNS)))
        except DataError as error:
            assert str(error).startswith("here: ")


@given(st.one_of(st.binary(max_size=100), st.text(alphabet="<>/&;!anotifleme ", max_size=80).map(str.encode)))
def test_any_xml_is_an_annotation(content: bytes) -> None:
    for each in (content, b"<annotation><filename>1.png</filename>" + content + b"</annotation>"):
        accounted([read_voc(each, 0)])


def test_a_text_of_xml_is_read_up_to_a_length_and_a_depth() -> None:
    name = "x" * 4097
    assert read_voc(f"<annotation><filename>{name}</filename></annotation>".encode(), 3) == Annotation(name[:4096], 3)
    for depth in (99, 100):
        found = read_voc(
            f"<annotation><filename>1.png</filename>{'<a>' * depth}{'</a>' * depth}</annotation>".encode(), 0
        )
        assert (found.problem is None) == (depth == 99)


def coco(image_id: int, **others: Any) -> dict[str, Any]:
    box = {"id": 1, "image_id": image_id, "category_id": 1, "bbox": [0, 0, 2, 3]}
    images = [{"id": image_id, "file_name": "1.png"}]
    return {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "cat"}], **others}


@pytest.mark.parametrize("sign", [1, -1])
def test_ids_of_coco_are_below_what_python_hashes_whole_numbers_by(sign: int) -> None:
    largest = sys.hash_info.modulus - 1
    [found] = read_coco(json.dumps(coco(sign * largest)).encode(), "here")
    assert found == Annotation("1.png", 0, (Box("cat", 6.0),))
    found, box = read_coco(json.dumps(coco(sign * (largest + 1))).encode(), "here")
    assert found.problem == ("annotation cannot be understood", "images[0]: no id, or no file_name")
    assert box.problem == ("annotation cannot be understood", "annotations[0]: image None is not listed")


def test_a_key_that_comes_twice_in_a_json_object_hides_nothing() -> None:
    content = json.dumps(coco(1, Images=[], info={"a": 1, "A": 2})).encode()
    assert [each.problem for each in read_coco(content, "here")] == [None]
    for key, other in ((b"images", b"Images"), (b"a", b"A")):
        with pytest.raises(DataError, match=f"here: no JSON: key '{key.decode()}' comes twice in one object"):
            list(read_coco(content.replace(b'"%s"' % other, b'"%s"' % key), "here"))
