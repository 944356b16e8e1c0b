"""A path says the part and the class of a picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.class_folders import PART_FOLDERS, place_of

FOLDERS = st.lists(st.sampled_from(["cats", "train", "Test", "val", "a", "unlabelled"]), max_size=4)


@given(FOLDERS, st.booleans())
def test_the_three_ways_to_name_a_class_agree_where_there_is_one_folder(folders: list[str], has_parts: bool) -> None:
    name = "/".join([*folders, "1.png"])
    ways = [place_of(name, way, ("unlabelled",), has_parts=has_parts) for way in ("outermost", "innermost", "path")]
    part, label = ways[2]
    assert {way.part for way in ways} == {part}
    assert [way.label for way in ways] == (
        [None] * 3 if label is None else [*(label.split("/")[n] for n in (0, -1)), label]
    )
    taken = folders[1:] if has_parts and folders and folders[0].lower() in PART_FOLDERS else folders
    assert part == (PART_FOLDERS[folders[0].lower()] if taken != folders else "train")
    assert label == ("/".join(taken) if taken and taken[0] != "unlabelled" else None)


@pytest.mark.parametrize(
    ("name", "part", "label"),
    [
        ("Validation/cats/1.png", "validation", "cats"),
        ("cats/test/1.png", "train", "cats"),
        ("test/1.png", "test", None),
        ("test/test/1.png", "test", "test"),
        ("1.png", "train", None),
        ("TESTS/1.png", "train", "TESTS"),
    ],
)
def test_a_part_is_the_first_folder_alone(name: str, part: str, label: str | None) -> None:
    assert place_of(name, "outermost", (), has_parts=True) == (part, label)


def test_each_name_of_a_part_is_known() -> None:
    names = {"train": ("train", "training"), "validation": ("validation", "valid", "val"), "test": ("test", "testing")}
    for part, each in names.items():
        for name in each:
            assert place_of(f"{name.title()}/cats/1.png", "outermost", (), has_parts=True) == (part, "cats")
