"""A command given as a person gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import command_line

ROOT = Path(__file__).parents[2]


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Give a command; return its exit code and what it said on standard error, a line at most."""
    code = command_line.main(arguments)
    said = capsys.readouterr().err
    assert said.count("\n") <= 1, said
    return code, said


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Give a command that succeeds; return what it said on standard output."""
    assert command_line.main(arguments) == 0
    return capsys.readouterr().out
