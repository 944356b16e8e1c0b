"""Entries become rows: one each, in their order, however many make a table."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.data import entries
from pipeline.data.entries import UNLABELLED, Entry, Label, labels_of, picture_entry, tables
from tests.hostile_tree import picture

PICTURE = picture(1)


def test_a_label_is_known_by_its_text_without_blanks_however_its_accents_are_composed() -> None:
    label = labels_of((" café ", "dog"))
    assert label("cafe\N{COMBINING ACUTE ACCENT}") == label(" café") == Label(0)
    assert label("dog ") == Label(1)
    assert label("dgo") == Label(-1, "'dgo' is none of data.classes (did you mean 'dog'?)")
    found = label("x" * 3000)
    assert found.detail is not None
    assert found.detail.startswith(f"'{'x' * 199} is none of data.classes")
    assert len(labels_of(("c" * 2000,))("x").detail or "") == 1000


@pytest.mark.parametrize(
    ("name", "read", "problem", "detail"),
    [
        ("1.png", PICTURE, None, None),
        ("1.png", ("cannot be read", "why"), "cannot be read", "why"),
        ("1.png", b"", "empty", None),
        ("1.txt", b"123456789", "not a picture", "begins with 31 32 33 34 35 36 37 38"),
        ("1.JPEG", b"12", "not a picture", "begins with 31 32, whatever its name ends in (.png …)"),
    ],
)
def test_what_was_read_is_a_picture_or_says_why_not(
    name: str, read: bytes | tuple[str, str | None], problem: str | None, detail: str | None
) -> None:
    label = Label(3)
    payload = None if problem else read
    assert picture_entry(name, "test", label, read, 7) == Entry(name, "test", label, payload, problem, detail, 7)
    assert picture_entry(name, "test", label, read).row == 0


def test_an_entry_s_facts_stand_in_its_row() -> None:
    given = [
        Entry("a/\udcff.png", "test", Label(2), PICTURE, row=5),
        Entry("b", "train", Label(-1, "text"), None, "empty"),
        Entry("c", "train", Label(-1, "text"), None, "empty", "why"),
        Entry("d", "validation", UNLABELLED, b"no picture"),
    ]
    [table] = tables(given)
    assert table.column_names[:6] == ["label", "part", "source", "row", "problem", "detail"]
    first, second, third, fourth = table.to_pylist()
    assert first == {
        "label": 2,
        "part": "test",
        "source": "a/\\xff.png",
        "row": 5,
        "problem": None,
        "detail": None,
        "image_height": 12,
        "image_width": 10,
        "image_channels": 3,
        "image_mode": "RGB",
        "image_encoding": "png",
        "image": PICTURE,
    }
    facts = ("image_height", "image_width", "image_channels", "image_mode", "image_encoding")
    assert [second[fact] for fact in (*facts, "image")] == [None] * 6
    assert (second["label"], second["detail"], third["detail"]) == (-1, "text", "why")
    assert (fourth["label"], fourth["part"], fourth["image"]) == (None, "validation", b"no picture")
    assert [fourth[fact] for fact in facts] == [None] * 5


def test_a_table_ends_after_so_many_rows_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "ROWS_PER_SHARD", 3)
    monkeypatch.setattr(entries, "BYTES_PER_SHARD", 10)
    sizes = [1, 1, 1, 9, 1, 4, 5, None, 12, 2]
    given = [Entry(str(n), "train", UNLABELLED, None if size is None else bytes(size)) for n, size in enumerate(sizes)]
    found = list(tables(given))
    assert [table.num_rows for table in found] == [3, 2, 3, 1, 1]
    assert pa.concat_tables(found)["source"].to_pylist() == [str(n) for n in range(10)]
    assert list(tables([])) == []
