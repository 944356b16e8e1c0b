"""What a person sees of a run."""

from __future__ import annotations

import io

import pytest

from pipeline.runs import console as console_module
from pipeline.runs.console import Console
from pipeline.runs.stage_rows import StageRow, apply_event


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_are_plain_lines_and_a_table_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [StageRow("ingest"), StageRow("clean", "unchanged", "unchanged")]
    with Console(rows) as console:
        apply_event(rows[0], {"event": "begin", "at_s": 1.0})
        apply_event(rows[0], {"event": "finish", "at_s": 2.5, "summary": "12 000 images"})
        console.show(rows[0])
        console.show(rows[0])
    console.finish()
    out = capsys.readouterr().out
    assert out.startswith("ingest: 12 000 images  1.5 s\n\nstage ")
    table = out.splitlines()[-2:]
    assert table[0].split() == ["ingest", "12", "000", "images", "1.5", "s"]
    assert table[1].split() == ["clean", "unchanged"]


def test_progress_is_said_now_and_then_and_the_end_always(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "LINE_INTERVAL_S", 3600.0)
    row = StageRow("train")
    with Console([row]) as console:
        for done in range(1, 101):
            event = {"event": "advance", "at_s": 1.0, "done": done, "total": 100, "unit": "images", "note": ""}
            row.state = "running"
            apply_event(row, event)
            console.show(row)
        apply_event(row, {"event": "finish", "at_s": 2.0, "summary": "100 images"})
        console.show(row)
    assert capsys.readouterr().out.splitlines() == ["train:   1%  1 of 100 images", "train: 100 images"]


def test_a_terminal_is_given_a_table_of_all_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    rows = [StageRow("ingest"), StageRow("clean", "unchanged", "unchanged")]
    with Console(rows) as console:
        apply_event(rows[0], {"event": "begin", "at_s": 1.0})
        apply_event(rows[0], {"event": "finish", "at_s": 2.5, "summary": "12 000 images"})
        console.show(rows[0])
    console.finish()
    assert "12 000 images" in terminal.getvalue()
    assert "what happened" in terminal.getvalue()
