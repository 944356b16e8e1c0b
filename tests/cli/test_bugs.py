"""A bug as one line, its traceback as a file."""

from __future__ import annotations

import os
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
    for variable in ("RATCHET_EVIDENCE", "DVC_STAGE"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_the_traceback_is_where_the_line_says(folder: Path) -> None:
    assert line_of_a_bug() == f"bug: ValueError: two lines; where: {folder}/.ratchet/traceback.txt"
    assert "in line_of_a_bug" in (folder / ".ratchet" / "traceback.txt").read_text()


def test_what_outlives_the_workspace_is_for_the_driver_to_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_EVIDENCE", str(folder / "runs" / "r1" / "logs"))
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:train")
    path = folder / "runs" / "r1" / "logs" / "train.traceback.txt"
    assert line_of_a_bug() == f"bug: ValueError: two lines; where: {path}"
    assert "in line_of_a_bug" in path.read_text()
    assert not (folder / ".ratchet").exists()


def test_where_nothing_can_be_written_the_line_says_how_to_see_it(folder: Path) -> None:
    (folder / ".ratchet").write_text("a file")
    assert line_of_a_bug() == "bug: ValueError: two lines; run again with --debug to see where"


def test_a_name_that_is_not_utf_8_is_readable_in_the_traceback(folder: Path) -> None:
    try:
        raise ValueError(os.fsdecode(b"image-\xff.png"))
    except ValueError as error:
        as_bug(error)
    assert "image-\\udcff.png" in (folder / ".ratchet" / "traceback.txt").read_text()


def test_neither_the_line_nor_the_traceback_has_a_secret(folder: Path) -> None:
    try:
        raise ValueError("http://ann:s3cret@host:5000 refuses")
    except ValueError as error:
        line = as_bug(error)
    assert line.startswith("bug: ValueError: http://ann:***@host:5000 refuses; where: ")
    assert "s3cret" not in (folder / ".ratchet" / "traceback.txt").read_text()
