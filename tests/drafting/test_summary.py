"""What is said of a draft: at most fifteen lines."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.drafting.looking import Delivered
from pipeline.drafting.measuring import Cleaned
from pipeline.drafting.summary import all_lines, found_lines
from tests.drafting.given import pictures


def found(kept: dict[str, int], reasons: dict[str, int] | None = None) -> list[str]:
    delivered = Delivered(rows=1200, unlabelled=7)
    delivered.parts.update(train=1000, test=200)
    return found_lines(
        "leaves", "image_folder", delivered, pictures((20, 30), (40, 30)), Cleaned(kept, reasons or {}), 200
    )


def test_it_says_rows_parts_classes_sizes_and_what_is_rejected() -> None:
    assert found({"ash": 1000, "oak": 190}, {"exact duplicate": 3}) == [
        "leaves: 1 200 rows, read as image_folder: 1 000 train, 200 test, 7 without a label",
        "2 classes (rows): ash (1 000), oak (190)",
        "pictures: 20 to 40 pixels high, 30 to 30 wide; 2 png; modes 2 L",
        "kept: 1 190, 200 of them test rows; rejected: 3 exact duplicate",
    ]


def test_of_many_kinds_the_four_of_most_rows_are_named_and_the_rows_of_the_others_counted() -> None:
    reasons = {"empty": 1, "not a picture": 3, "truncated": 1, "conflicting label": 6, "exact duplicate": 26}
    assert found({"ash": 9, "oak": 9}, reasons)[3].endswith(
        "rejected: 26 exact duplicate, 6 conflicting label, 3 not a picture, 1 empty, 1 other"
    )


def test_of_many_kinds_four_are_named_and_a_size_that_all_have_is_told_once() -> None:
    seen = pictures((20, 30), (20, 30), modes={})
    seen.modes.clear()
    delivered = Delivered(rows=2)
    lines = found_lines("leaves", "cifar", delivered, seen, Cleaned({"a": 1}, dict.fromkeys("vwxyz", 2)), 0)
    assert lines[2:] == [
        "pictures: all of 20 × 30 pixels (height × width); 2 png",
        "kept: 1, 0 of them test rows; rejected: 2 v, 2 w, 2 x, 2 y, 2 others",
    ]
    lines = found_lines("leaves", "cifar", delivered, pictures(), Cleaned({"a": 1}, {}), 0)
    assert lines[2:] == [
        "pictures: none says its size; 0 png; modes 0 L",
        "kept: 1, 0 of them test rows; none is rejected",
    ]


def test_all_that_is_said_stands_in_its_order() -> None:
    files = [Path("configs/x.yaml"), Path("data_contracts/x/raw.yaml")]
    ends = ["written: configs/x.yaml, data_contracts/x/raw.yaml", "next: read them, edit what is not so; then: run"]
    assert all_lines(["found"], ["a", "b"], files, "run") == ["found", "unsure: a", "unsure: b", *ends]
    lines = all_lines(["found"], [str(number) for number in range(20)], files, "run")
    told = [f"unsure: {number}" for number in range(11)]
    assert lines == ["found", *told, "unsure: 9 more, in the comments of the config", *ends]


def test_of_many_classes_twelve_are_named_and_the_others_counted() -> None:
    [_, classes, *_] = found({f"c{number}": 10 for number in range(15)})
    assert classes == f"15 classes of 10 rows each: {', '.join(f'c{number}' for number in range(12))}, 3 more"


@given(st.lists(st.text(min_size=1, max_size=400), max_size=40))
def test_there_are_never_more_than_fifteen_lines_and_the_last_says_what_to_do(unsure: list[str]) -> None:
    lines = all_lines(found({"a": 1, "b": 2}), unsure, [Path("configs/x.yaml")], "ratchet run --config configs/x.yaml")
    assert len(lines) <= 15
    assert lines[-1].endswith("then: ratchet run --config configs/x.yaml")
    told = sum(line.startswith("unsure: ") for line in lines)
    if len(unsure) <= 9:
        assert told == len(unsure)
    else:
        assert f"unsure: {len(unsure) - 8} more, in the comments of the config" in lines
