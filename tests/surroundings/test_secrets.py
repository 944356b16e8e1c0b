"""A secret that a stage, a library or the surroundings say: nothing that is printed or kept of the run has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surroundings.conftest import MakeSmall

SECRET = "s3cret-Pa55"
TELLS = '''"""Says what it must not, in every way that a stage has."""

import os
import subprocess

from pipeline.errors import StorageError

ADDRESS = "postgresql://ann:" + "-".join(["s3cret", "Pa55"]) + "@db.invalid:5432/mlflow"


def run(stage):
    print("connecting to", ADDRESS, flush=True)
    subprocess.run(["sh", "-c", "echo token $MLFLOW_TRACKING_TOKEN >&2"], check=True)
    stage.progress.step("asks " + ADDRESS)
    raise KIND("cannot connect to " + ADDRESS + " with " + os.environ["MLFLOW_TRACKING_TOKEN"])
'''
STAGE = {"tells": {"deps": ["pipeline/stages/tells.py", "pipeline/records"], "outs": ["reports/told.json"]}}


@pytest.mark.parametrize("kind", ["RuntimeError", "StorageError"])
def test_nothing_that_a_failed_run_prints_or_keeps_has_a_secret(small: MakeSmall, tmp_path: Path, kind: str) -> None:
    project = small(stages=STAGE).with_variables(MLFLOW_TRACKING_TOKEN="t0ken-of-ann")
    (project.root / "pipeline" / "stages" / "tells.py").write_text(TELLS.replace("KIND", kind))
    done = project.call("ratchet", "run", "--debug")
    assert done.returncode == (70 if kind == "RuntimeError" else 74), done.stderr
    assert "cannot connect to postgresql://ann:***@db.invalid:5432/mlflow with ***" in done.stderr
    [log] = project.root.glob("runs/*/logs/dvc.log")
    assert "connecting to postgresql://ann:***@db.invalid:5432/mlflow\ntoken ***\n" in log.read_text()
    told = [path for path in tmp_path.rglob("*") if path.is_file() and _tells(path.read_bytes())]
    assert (told, _tells(done.stdout.encode()), _tells(done.stderr.encode())) == ([], False, False)


def _tells(said: bytes) -> bool:
    return SECRET.encode() in said or b"t0ken-of-ann" in said
