"""`ratchet stage`, given by a person, and by DVC to its shell, which in our runs is this very program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.given import ROOT, complaint


def test_a_stage_of_another_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "pipeline").mkdir()
    monkeypatch.chdir(tmp_path)
    code, said = complaint(capsys, "stage", "ingest")
    assert (code, "set PYTHONPATH=" in said) == (2, True)


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


@pytest.mark.long
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
