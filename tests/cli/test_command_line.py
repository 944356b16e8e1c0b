"""The command: one line for each mistake, and the documented exit code."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import command_line
from pipeline.errors import FULL_DISK

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's own files, as the current folder."""
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("pipeline", "data_contracts", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = command_line.main(arguments)
    error = capsys.readouterr().err
    assert error.count("\n") <= 1, error
    return code, error


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rnu"], 2, "no command 'rnu' (did you mean 'run'?)"),
        (["stage", "ingets"], 2, "no stage 'ingets' (did you mean 'ingest'?)"),
        (["run", "--set", "train.epochs"], 2, "expected KEY=VALUE"),
        (["run", "--set", "train.epoch=3"], 2, "did you mean 'train.epochs'?"),
        (["run", "--set", "train.epochs=-1"], 2, "train.epochs"),
        (["run", "--set", "train.epochs=!!python/name:os.system"], 2, "YAML tags"),
        (["run", "--set", "gate.minimum.accuracy=.nan"], 2, "gate.minimum.accuracy"),
        (["run", "--config", "configs/fashion_mnist_fll.yaml"], 2, "did you mean 'fashion_mnist_full.yaml'?"),
        (["run", "--execution", "horovod.worker=1"], 2, "did you mean 'horovod.workers'?"),
        (["run", "--what"], 2, "--what"),
        (["registry"], 2, "ACTION"),
        (["registry", "promote", "1"], 2, "--reason"),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    before = sorted(path.name for path in project.iterdir() if path.name != ".ratchet")
    found, error = answer(capsys, *arguments)
    assert found == code
    assert words in error
    assert error.startswith("ratchet: ")
    assert sorted(path.name for path in project.iterdir() if path.name != ".ratchet") == before


def test_a_source_that_is_missing_is_said_before_anything_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = answer(capsys, "run")
    assert (code, "data.path: samples/fashion_mnist does not exist" in error) == (74, True)
    assert not (project / "data").exists()


def test_a_full_disk_is_one_line_and_no_bug_wherever_it_is_met(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "reports/run.json")

    monkeypatch.setattr("pipeline.runs.in_one_process.run", fill)
    code, error = answer(capsys, "run")
    assert code == 74
    assert error == f"ratchet: reports/run.json: {FULL_DISK}\n"


def test_outside_a_project_the_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = answer(capsys, "run")
    assert (code, "not inside a Ratchet project" in error) == (2, True)


def test_a_stage_of_another_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "pipeline").mkdir()
    monkeypatch.chdir(tmp_path)
    code, error = answer(capsys, "stage", "ingest")
    assert (code, "set PYTHONPATH=" in error) == (2, True)


def test_every_command_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "stage", "graph", "report", "doctor", "registry"):
        with pytest.raises(SystemExit) as caught:
            command_line.main([command, "--help"])
        assert caught.value.code == 0
        assert f"examples:\n  ratchet {command}" in capsys.readouterr().out


def test_the_graph_is_printed_for_people_and_for_programs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["graph"]) == 0
    assert "(after ingest, check_raw)" in capsys.readouterr().out
    assert command_line.main(["graph", "--format", "json"]) == 0
    assert ["gate", "register"] in json.loads(capsys.readouterr().out)["edges"]
    assert command_line.main(["graph", "--format", "mermaid"]) == 0
    assert "  gate --> register" in capsys.readouterr().out


def test_the_command_starts_without_anything_heavy() -> None:
    code = (
        "import sys; from pipeline import cli; cli.main(['graph']);"
        "heavy = {'tensorflow', 'pyspark', 'great_expectations', 'mlflow', 'numpy', 'pyarrow', 'dvc', 'rich'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
