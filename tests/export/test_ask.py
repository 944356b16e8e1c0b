"""Asking a model in a fresh process, whatever that process does. Real models: tests/system."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError, TryAgain
from pipeline.export import ask as asking
from pipeline.export import query
from pipeline.export.ask import ask, ask_export
from pipeline.runtime import processes
from tests.waiting import HANG_S

COLUMNS = {"image": np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1), "file": np.arange(3, dtype=np.int32)}
ANSWERS = np.full((3, 2), 0.5, np.float32)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def asked(
    monkeypatch: pytest.MonkeyPatch, scratch: Path, script: str, *, timeout_s: float = HANG_S
) -> tuple[np.ndarray, list[str]]:
    """Ask a model; `script` is what stands in for Python, given `-m pipeline.export.query MODEL QUESTION ANSWER`."""
    program, seen = scratch.with_name("python"), scratch.with_name("seen")
    program.write_text(f'#!/bin/sh\necho "$@" > {seen}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return ask(Path("/saved/model"), COLUMNS, scratch, timeout_s=timeout_s), seen.read_text().split()


def answering(scratch: Path) -> str:
    """Return a script that answers, after it has kept the question."""
    np.save(scratch.with_name("answers.npy"), ANSWERS)
    return f'cp -r "$4" {scratch.parent}/question; cp {scratch.parent}/answers.npy "$5"'


def test_the_model_is_asked_about_each_column_and_its_answer_comes_back(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    found, command = asked(monkeypatch, scratch, answering(scratch))
    assert command[:3] == ["-m", "pipeline.export.query", "/saved/model"]
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(np.load(scratch.with_name("question") / f"{name}.npy"), values)
    np.testing.assert_array_equal(found, ANSWERS)


def test_texts_travel_as_they_are_however_long_one_is(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    texts = np.array(["a" * 1_000_000, 'שלום\n"quoted"', ""], np.object_)
    monkeypatch.setitem(COLUMNS, "body", texts)
    asked(monkeypatch, scratch, answering(scratch))
    [file] = scratch.with_name("question").glob("body.*")
    assert file.stat().st_size < 1_001_000
    assert query._read(file) == texts.tolist()


def test_a_model_that_cannot_be_asked_is_bad_data_with_the_last_line_and_no_folder(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    with pytest.raises(DataError) as raised:
        asked(monkeypatch, scratch, 'echo Traceback; echo "ValueError: $4 is not what it takes" >&2; exit 1')
    assert str(raised.value) == "the exported model does not answer: ValueError: columns is not what it takes"


def test_a_process_that_says_nothing_before_it_fails_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    with pytest.raises(DataError, match="the exported model does not answer: it said nothing"):
        asked(monkeypatch, scratch, "exit 3")


def test_a_process_that_was_killed_says_nothing_about_the_model(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    with pytest.raises(TryAgain, match="was ended by signal 9; run again"):
        asked(monkeypatch, scratch, "kill -9 $$")


def test_a_process_that_does_not_answer_in_time_is_ended_and_says_nothing_about_the_model(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = processes.start
    monkeypatch.setattr(processes, "start", lambda *given, **more: started.append(start(*given, **more)) or started[0])
    with pytest.raises(TryAgain, match=r"did not answer within 0\.2 s; run again"):
        asked(monkeypatch, scratch, "exec tail -f /dev/null", timeout_s=0.2)
    assert started[0].returncode is not None


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
def test_nothing_is_left_of_a_failed_question(monkeypatch: pytest.MonkeyPatch, scratch: Path, script: str) -> None:
    with pytest.raises((DataError, TryAgain)):
        asked(monkeypatch, scratch, script)
    assert not scratch.exists()


def test_nothing_is_left_of_an_answered_question(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    asked(monkeypatch, scratch, answering(scratch))
    assert not scratch.exists()


def test_what_a_killed_question_left_is_never_taken_for_an_answer(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    scratch.mkdir()
    np.save(scratch / "answers.npy", ANSWERS)
    with pytest.raises(OSError, match="No such file"):
        asked(monkeypatch, scratch, "exit 0")


@pytest.mark.parametrize("columns", [{}, {name: values[:0] for name, values in COLUMNS.items()}], ids=["no", "empty"])
def test_without_rows_nothing_is_asked_and_nothing_exported(
    monkeypatch: pytest.MonkeyPatch, scratch: Path, columns: dict[str, np.ndarray]
) -> None:
    def export(*_: object) -> Path:
        raise AssertionError("a model that is not asked is not exported")

    monkeypatch.setattr(asking, "exported", export)
    with pytest.raises(DataError, match="there are no rows to ask the exported model about"):
        ask_export(Path("/model"), scratch.with_name("exports"), columns, scratch)


def test_the_export_of_the_model_is_what_is_asked(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    asked_for: list[tuple[Path, ...]] = []
    monkeypatch.setattr(asking, "exported", lambda *given: asked_for.append(given) or Path("/saved/model"))
    monkeypatch.setattr(asking, "ask", lambda *given: given)
    monkeypatch.setattr(asking.stored, "read_architecture", lambda _: None)
    monkeypatch.setattr(asking, "in_raw_types", lambda _, columns: columns)
    model, exports = Path("/model"), scratch.with_name("exports")
    assert ask_export(model, exports, COLUMNS, scratch, nullcontext) == (Path("/saved/model"), COLUMNS, scratch)
    assert asked_for == [(model, exports, nullcontext)]
