"""What MLflow and its libraries raise becomes one line without secrets."""

from __future__ import annotations

from pathlib import Path

from pipeline.recipe.execution import MLflowSettings
from pipeline.registry.store import resolve_store
from pipeline.registry.tracking import _named

SECRET = "hunter2"


def said(tmp_path: Path, what: str) -> str:
    store = resolve_store(tmp_path, MLflowSettings(uri=f"http://ann:{SECRET}@mlflow.example", artifacts="s3://models"))
    return str(_named(store, what))


def test_a_failure_of_the_registry_is_its_first_line_without_the_password(tmp_path: Path) -> None:
    line = said(tmp_path, f"  401 for http://ann:{SECRET}@mlflow.example/api, key={SECRET}\nTraceback {SECRET}")
    assert line == (
        "model registry http://mlflow.example: 401 for http://mlflow.example/api, key=***; "
        "check mlflow.uri in execution.yaml"
    )


def test_a_failure_without_end_is_cut_off_and_what_to_do_stays(tmp_path: Path) -> None:
    line = said(tmp_path, "x " * 5000)
    assert len(line) < 600
    assert line.endswith("; check mlflow.uri in execution.yaml")
