"""An entry of `dvc.lock` is put in its place in the text. That the bytes are DVC's own: tests/system/runs."""

from __future__ import annotations

import pytest

from pipeline.runs.dvc_lock_entries import with_entry

HEAD = "schema: '2.0'\nstages:\n"
FIRST, SECOND = "  first:\n    cmd: a\n", "  'true':\n    cmd: b\n"


@pytest.mark.parametrize(
    ("text", "entry", "expected"),
    [
        (HEAD + FIRST, SECOND, HEAD + FIRST + SECOND),
        (HEAD + FIRST + SECOND, "  first:\n    cmd: c\n", HEAD + "  first:\n    cmd: c\n" + SECOND),
        (HEAD + FIRST + SECOND, "  'true':\n    cmd: c\n", HEAD + FIRST + "  'true':\n    cmd: c\n"),
        (HEAD + "  first.b:\n    cmd: a\n", FIRST, HEAD + "  first.b:\n    cmd: a\n" + FIRST),
    ],
    ids=["new", "first", "last", "similar name"],
)
def test_an_entry_takes_the_place_of_the_one_of_its_name_or_comes_last(text: str, entry: str, expected: str) -> None:
    assert with_entry(text, entry) == expected
