"""The command: one line for each mistake, and the documented exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import command_line
from pipeline.errors import FULL_DISK, StorageError
from tests.cli.given import ROOT, complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "no command 'rnu' (did you mean 'run'?)"),
        (["stage", "ingets"], "no stage 'ingets' (did you mean 'ingest'?)"),
        (["run", "--set", "train.epochs"], "expected KEY=VALUE"),
        (["run", "--set", "train.epoch=3"], "did you mean 'train.epochs'?"),
        (["run", "--set", "train.epochs=-1"], "train.epochs"),
        (["run", "--set", "train.epochs=!!python/name:os.system"], "YAML tags"),
        (["run", "--set", "gate.minimum.accuracy=.nan"], "gate.minimum.accuracy"),
        (["run", "--config", "configs/fashion_mnist_fll.yaml"], "did you mean 'fashion_mnist_full.yaml'?"),
        (["run", "--execution", "horovod.worker=1"], "did you mean 'horovod.workers'?"),
        (["run", "--what"], "--what"),
        (["registry"], "ACTION"),
        (["registry", "promote", "1"], "--reason"),
        (["runs", "stage", "no-run", "ingest"], "no run 'no-run'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    before = sorted(path.name for path in project.iterdir())
    code, said = complaint(capsys, *arguments)
    assert code == 2
    assert said.startswith("ratchet: ")
    assert words in said
    assert sorted(path.name for path in project.iterdir() if path.name != ".ratchet") == before


def test_outside_a_project_the_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = complaint(capsys, "run")
    assert (code, "not inside a Ratchet project" in said) == (2, True)


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `ratchet run` raise."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.runs.in_one_process.run", fail)


def test_a_full_disk_is_one_line_and_no_bug_wherever_it_is_met(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "reports/run.json"))
    assert complaint(capsys, "run") == (74, f"ratchet: reports/run.json: {FULL_DISK}\n")


def test_a_bug_is_one_line_that_says_where_its_traceback_is(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, ZeroDivisionError("division\nby zero"))
    where = Path.cwd() / ".ratchet" / "traceback.txt"
    line = f"ratchet: bug: ZeroDivisionError: division by zero; where: {where}\n"
    assert complaint(capsys, "run") == (70, line)
    assert "in fail" in where.read_text()


def test_an_interrupted_command_says_that_it_can_go_on(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    code, said = complaint(capsys, "run")
    assert (code, "run again to go on" in said) == (130, True)


@pytest.mark.parametrize("kind", [ValueError, StorageError])
def test_with_debug_there_is_a_traceback_without_secrets(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    raising(monkeypatch, kind("http://ann:s3cret@host:5000 refuses"))
    code = command_line.main(["run", "--debug"])
    said = capsys.readouterr().err
    assert code == (74 if kind is StorageError else 70)
    assert "Traceback (most recent call last)" in said
    assert f"{kind.__name__}: http://ann:***@host:5000 refuses" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("command", ["init", "run", "runs", "stage", "graph", "report", "doctor", "registry"])
def test_every_command_has_help_with_examples(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main([command, "--help"])
    assert caught.value.code == 0
    assert f"examples:\n  ratchet {command}" in capsys.readouterr().out


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["--help"])
    said = capsys.readouterr().out
    for command in ("init", "run", "runs", "stage", "graph", "report", "doctor", "registry"):
        assert f"\n    {command} " in said


@pytest.mark.long
def test_the_command_starts_without_anything_heavy() -> None:
    code = (
        "import sys; from pipeline.cli import command_line; command_line.main(['graph']);"
        "heavy = {'tensorflow', 'pyspark', 'great_expectations', 'mlflow', 'numpy', 'pyarrow', 'dvc', 'rich'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
