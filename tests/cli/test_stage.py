"""`ratchet stage`, given by a person, and by DVC to its shell, which in our runs is this very program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from pipeline.cli import stage
from tests.cli.given import ROOT, complaint


class Replaced(BaseException):
    """Raised where this process would have become another."""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(path: str, words: list[str]) -> NoReturn:
        raise Replaced(path, words)

    monkeypatch.setattr(os, "execv", become)


def test_a_stage_of_another_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "pipeline").mkdir()
    monkeypatch.chdir(tmp_path)
    code, said = complaint(capsys, "stage", "ingest")
    assert (code, "set PYTHONPATH=" in said) == (2, True)


@pytest.mark.parametrize("name", ["ingest", "check_raw", "check-raw2"])
def test_a_stages_command_becomes_its_words(shell: None, name: str) -> None:
    assert stage.without_shell(["-c", f"ratchet stage {name}"]) == ["stage", name]


@pytest.mark.parametrize(
    "words", [[], ["run"], ["stage", "ingest"], ["-c"], ["--debug"], ["-c", "ratchet stage ingest", "more"]]
)
def test_what_a_person_gives_stays_as_it_is(shell: None, words: list[str]) -> None:
    assert stage.without_shell(words) == words


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "ratchet run",
        "ratchet stage",
        "ratchet stage a --debug",
        "ratchet stage a && rm b",
        "ratchet stage a;rm",
        "ratchet stage a|cat",
        "ratchet stage a>log",
        "ratchet stage $NAME",
        "ratchet stage 'a'",
        "ratchet stage\na",
        "other stage a",
    ],
)
def test_any_other_command_is_left_to_the_shell(shell: None, command: str) -> None:
    with pytest.raises(Replaced) as caught:
        stage.without_shell(["-c", command])
    assert caught.value.args == ("/bin/sh", ["/bin/sh", "-c", command])


def test_the_shell_does_all_that_the_command_says_and_its_exit_code_is_the_commands(tmp_path: Path) -> None:
    ratchet = tmp_path / "ratchet"
    ratchet.write_text('#!/bin/sh\necho "ratchet $*"\n')
    ratchet.chmod(0o755)
    finished = subprocess.run(
        [sys.executable, "-m", "pipeline", "-c", "ratchet stage a && echo b; exit 7"],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.stdout, finished.returncode) == ("ratchet stage a\nb\n", 7)


def test_a_stage_ordered_by_dvc_runs_as_one_that_a_person_orders(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "pipeline", "-c", "ratchet stage ingets"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "no stage 'ingets' (did you mean 'ingest'?)" in finished.stderr
