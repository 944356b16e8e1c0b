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
