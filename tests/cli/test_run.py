"""`ratchet run`: what it asks for, and what it says of what came of it. Real runs: tests/system."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.runs import in_one_process
from pipeline.runs.in_one_process import RunOptions, RunResult
from tests.cli.given import answer, complaint

REFUSED = Verdict.of([], "accuracy is 0.5, at least 0.7 is asked", "sha256:new", None)
REGISTRATION = Registration(
    outcome="refused", name="pets", version=4, champion=None, sentence="pets v4 is kept, refused", registry="local"
)


def result(page: Path, **changes: object) -> RunResult:
    return dataclasses.replace(RunResult(False, REFUSED, None, page), **changes)


def asked(monkeypatch: pytest.MonkeyPatch, given: RunResult) -> list[RunOptions]:
    """Replace the run by its result; return what it was asked for."""
    options: list[RunOptions] = []
    monkeypatch.setattr(in_one_process, "run", lambda _, request: options.append(request) or given)
    return options


def test_a_source_that_is_missing_is_said_before_anything_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = complaint(capsys, "run")
    assert (code, "data.path: samples/fashion_mnist does not exist" in said) == (74, True)
    assert not (project / "data").exists()


def test_the_options_are_what_the_run_is_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = asked(monkeypatch, result(project / "reports" / "index.html"))
    answer(
        capsys,
        *["run", "--force", "--config", "configs/a.yaml", "--set", "train.epochs=3"],
        *["--set", "name=x", "--execution", "horovod.workers=4", "--until", "train"],
    )
    [given] = options
    assert given == RunOptions(
        config=Path("configs/a.yaml"),
        overrides={"train.epochs": 3, "name": "x"},  # values, as in the recipe
        execution={"horovod.workers": "4"},  # texts
        is_forced=True,
        until="train",
    )


def test_a_config_that_competes_with_another_for_one_champion_is_told_and_runs(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, result(project / "reports" / "index.html"))
    (project / "configs").unlink()  # a link to our own
    (project / "configs").mkdir()
    for name, model in {"a": "one", "b": "one", "c": "other"}.items():
        (project / "configs" / f"{name}.yaml").write_text(f"recipe: {{name: {model}}}\n")
    code, said = complaint(capsys, "run", "--config", "configs/a.yaml")
    assert (code, said[:66]) == (0, "warning: configs/a.yaml and configs/b.yaml publish under one model")
    assert complaint(capsys, "run", "--config", "configs/c.yaml") == (0, "")


def test_a_refusal_is_a_normal_end_and_is_told_with_its_reason(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, result(project / "reports" / "index.html"))
    assert answer(capsys, "run").splitlines() == [
        "verdict: REFUSE  accuracy is 0.5, at least 0.7 is asked",
        "report: reports/index.html",
    ]


def test_a_graph_that_judges_nothing_is_told_as_that(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, result(project / "reports" / "index.html", verdict=None))
    said = answer(capsys, "run").splitlines()
    assert said[0] == "verdict: none: no stage of dvc.yaml makes a verdict, so nothing was judged"


def test_what_the_registry_did_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, result(project / "reports" / "index.html", registration=REGISTRATION))
    assert "registry: pets v4 is kept, refused\n" in answer(capsys, "run")


def test_a_run_with_nothing_to_do_says_so_first(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, result(project / "reports" / "index.html", is_unchanged=True))
    assert answer(capsys, "run").startswith("nothing changed: ")


def test_a_run_that_was_to_stop_early_says_how_far_it_came_and_judges_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "stopped after train, as asked: on the validation part, at epoch 2: loss 0.2500"
    stopped = result(project / "reports" / "index.html", verdict=None, sentence=sentence)
    options = asked(monkeypatch, stopped)
    assert answer(capsys, "run", "--until", "train") == f"{sentence}\n"
    assert options[0].until == "train"


def test_a_stage_to_stop_at_that_there_is_not_is_answered_with_the_nearest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = complaint(capsys, "run", "--until", "trian")
    assert (code, "no stage 'trian' (did you mean 'train'?)" in said) == (2, True)
    assert not (project / "runs").exists()
