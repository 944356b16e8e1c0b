"""The picture of the rows: as wide as they have rows, and nothing outside of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.flow import Flow, StageFlow
from pipeline.report.flow_picture import FlowPicture, picture_of

PARTS = {"train": 600, "validation": 100, "test": 200}


def flow_of(*steps: StageFlow, shares: Mapping[str, float] | None = None) -> Flow:
    return Flow(steps, shares or {}, ())


def main_job(
    rejected: int = 60, held: int = 40, reasons: Mapping[str, int] | None = None, copies: int = 600
) -> tuple[StageFlow, ...]:
    read = 900 + rejected + held
    return (
        StageFlow("ingest", None, read, makes=True),
        StageFlow("clean", read, 900, rejected, held, reasons=reasons or {}),
        StageFlow("split", 900, 900, parts=PARTS),
        StageFlow("normalize", 900, 900, parts=PARTS),
        StageFlow("augment", None, copies, note="changed copies, beside the originals", makes=True),
        StageFlow("evaluate", 900, 900, parts=PARTS),
    )


def drawn(*steps: StageFlow) -> FlowPicture:
    picture = picture_of(flow_of(*steps))
    assert picture is not None
    return picture


def texts(picture: FlowPicture, kind: str) -> list[str]:
    return [label.text.replace("\u202f", " ") for label in picture.labels if label.kind == kind]


def test_every_stage_is_a_column_with_its_name_and_its_rows() -> None:
    picture = drawn(*main_job())
    assert texts(picture, "stage") == ["ingest", "clean", "split", "normalize", "augment", "evaluate"]
    assert texts(picture, "rows") == ["1 000 rows", "900 rows", "900 rows", "900 rows", "+600 rows", "900 rows"]
    columns = [label.x for label in picture.labels if label.kind == "stage"]
    assert columns == sorted(columns)


def test_a_stream_is_as_high_as_it_has_rows() -> None:
    picture = drawn(*main_job())
    of_rows = {"rejected": 60, "held": 40, "new": 600, **PARTS}
    heights = {node.kind: node.height for node in picture.nodes if node.kind in of_rows}
    unit = heights["train"] / 600
    assert heights == pytest.approx({kind: unit * rows for kind, rows in of_rows.items()}, abs=0.1)


def test_a_band_leads_from_stage_to_stage_past_a_stage_that_makes_rows() -> None:
    picture = drawn(*main_job())
    kinds = [band.kind for band in picture.bands]
    assert sorted(kinds) == sorted([*("kept", "rejected", "held", "new"), *3 * ["train", "validation", "test"]])
    assert "evaluate: 600 rows" in [band.title for band in picture.bands]


def test_a_few_rows_among_many_are_still_seen() -> None:
    many = StageFlow("ingest", None, 10**9, makes=True)
    picture = drawn(many, StageFlow("clean", 10**9, 10**9 - 1, 1, reasons={"truncated": 1}))
    [thin] = [node for node in picture.nodes if node.kind == "rejected"]
    assert thin.height == 2.0


def test_no_name_of_a_part_lies_over_another_where_most_rows_are_rejected() -> None:
    parts = {"train": 6, "validation": 2, "test": 2}
    picture = drawn(StageFlow("ingest", None, 1010, makes=True), StageFlow("split", 1010, 10, 1000, parts=parts))
    heights = [label.y for label in picture.labels if label.kind == "part"]
    assert all(below - above >= 12 for above, below in pairwise(heights))


def test_rejected_rows_have_their_reasons_the_last_of_many_together() -> None:
    assert texts(drawn(*main_job(60, 40, {"exact duplicate": 50, "truncated": 10})), "reason")[:2] == [
        "50 exact duplicate",
        "10 truncated",
    ]
    many = texts(drawn(*main_job(60, 40, {f"reason {number}": 5 for number in range(12)})), "reason")
    assert many[6:8] == ["5 reason 6", "and 5 more reasons"]
    assert texts(drawn(*main_job()), "aside") == ["60 rejected", "40 held back"]


def test_the_last_parts_are_named_with_their_share_of_the_source() -> None:
    picture = picture_of(flow_of(*main_job(), shares={"train": 0.6, "validation": 0.1, "test": 0.2}))
    assert picture is not None
    assert texts(picture, "part") == ["train 600 · 60.0 %", "validation 100 · 10.0 %", "test 200 · 20.0 %"]


def test_rows_that_do_not_add_up_are_marked_where_they_are_lost() -> None:
    steps = (*main_job()[:3], StageFlow("normalize", 900, 899, parts={**PARTS, "test": 199}))
    picture = drawn(*steps)
    [bad] = [label for label in picture.labels if label.kind == "bad"]
    [name] = [label for label in picture.labels if label.text == "normalize"]
    assert (bad.text, bad.x) == ("✗ of 900: do not add up", name.x)
    assert texts(drawn(*main_job()), "bad") == []


def test_it_is_said_in_words_too() -> None:
    said = drawn(*main_job()).words.replace("\u202f", " ")
    assert said.startswith("1 000 rows from ingest; clean: 900 rows, 60 rejected, 40 held back; split: 900 rows, 600 ")


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (StageFlow("ingest", None, None, makes=True),),
        (StageFlow("ingest", None, 0, makes=True),),
        (StageFlow("clean", 10, 10),),
    ],
)
def test_without_a_source_or_rows_there_is_no_picture(steps: tuple[StageFlow, ...]) -> None:
    assert picture_of(flow_of(*steps)) is None


counts = st.integers(0, 10**400) | st.integers(0, 50)


@given(
    st.lists(
        st.tuples(counts, counts, counts, st.dictionaries(st.sampled_from("abc"), counts), st.booleans()), max_size=7
    ),
    counts,
)
def test_whatever_the_counts_everything_is_inside_the_picture(
    rows: list[tuple[int, int, int, dict[str, int], bool]], first: int
) -> None:
    steps = [StageFlow("ingest", None, first, makes=True)]
    for number, (kept, rejected, held, parts, makes) in enumerate(rows):
        steps.append(
            StageFlow(f"stage {number}", None if makes else kept, kept, rejected, held, parts=parts, makes=makes)
        )
    picture = picture_of(flow_of(*steps))
    if picture is None:
        assert not any(step.kept for step in steps)
        return
    for node in picture.nodes:
        assert 0 <= node.x <= picture.width - picture.bar
        assert 0 <= node.y <= node.y + node.height <= picture.height
    for band in picture.bands:
        assert not re.search("nan|inf", band.path)
