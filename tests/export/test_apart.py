"""What a process of its own says when it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.errors import DataError, TryAgain
from pipeline.export.apart import require_done


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, timeout_s: float = 60.0) -> None:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    require_done("pipeline.export.convert", ["onnx"], folder / "log", timeout_s, "it cannot be written")


def test_one_that_is_done_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, 'test "$3" = onnx')


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first; echo last >&2; exit 1", "last"),
        ("exit 3", "it said nothing"),
        ("kill -11 $$", "the process was ended by signal 11"),
    ],
)
def test_one_that_fails_is_told_by_its_last_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    with pytest.raises(DataError) as raised:
        run(monkeypatch, tmp_path, script)
    assert str(raised.value) == f"it cannot be written: {said}"


def test_one_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(TryAgain, match=r"not done within 0\.2 s; run again"):
        run(monkeypatch, tmp_path, "exec tail -f /dev/null", timeout_s=0.2)
