"""A bug as one line, its traceback as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.bugs import as_bug


def line_of_a_bug() -> str:
    try:
        raise ValueError("two\n  lines")
    except ValueError as error:
        return as_bug(error)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_traceback_is_where_the_line_says(folder: Path) -> None:
    assert line_of_a_bug() == "bug: ValueError: two lines; where: .ratchet/traceback.txt"
    assert "in line_of_a_bug" in (folder / ".ratchet" / "traceback.txt").read_text()


def test_where_nothing_can_be_written_the_line_says_how_to_see_it(folder: Path) -> None:
    (folder / ".ratchet").write_text("a file")
    assert line_of_a_bug() == "bug: ValueError: two lines; run again with --debug to see where"
