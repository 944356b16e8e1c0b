"""What is asked of a run is checked before anything is made; what was answered already is not made again."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import StorageError, UsageError
from pipeline.records.run import RunRecord, RunRequest
from pipeline.records.verdict import Verdict
from pipeline.runs import freshness, history, opening
from pipeline.runs.steps import INPUTS
from pipeline.storage.record_files import write_record
from tests.runs.given import opened

VERDICT_FILE = "reports/verdict.json"
REFUSED = Verdict.of([], "worse than v1", "sha256:new", None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"id": "x", "who": 1}', "unknown key 'who'"),
        (b'{"overrides": {}}', "'id' is missing"),
        (b'{"id": "x", "as_of": "yesterday"}', "as_of"),
        (b'{"id": "x", "reason": "' + b"x" * 2001 + b'"}', "reason"),
        (b" " * (2**20 + 1), "larger than"),
    ],
)
def test_a_request_that_is_none_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "request.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        opening.read_request(path)
    assert "\n" not in str(caught.value)


def test_a_request_may_come_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"id": "x"}')))
    assert opening.read_request(Path("-")) == RunRequest(id="x")


def test_a_request_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"request\.json: cannot be read: No such file"):
        opening.read_request(tmp_path / "request.json")


@pytest.fixture
def project(recipe_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on a machine that has all that a run needs, with no champion."""
    monkeypatch.setattr(opening, "check_before", lambda *_: None)
    monkeypatch.setattr(opening, "champion_now", lambda *_: None)
    return recipe_root


def opening_of(root: Path, run_id: str = "r1", **asked: Any) -> RunRecord:
    return opening.open_run(root, RunRequest(id=run_id, **asked), {})


def test_an_opened_run_has_a_record_and_a_worktree_with_its_recipe(project: Path) -> None:
    asked = {"train.epochs": 3}
    record = opening_of(project, overrides=asked, reason="a try", asked_by="me")
    assert (record.state, record.overrides, record.reason, record.asked_by) == ("running", asked, "a try", "me")
    assert history.read(project, "r1") == record
    for folder in (".worktrees/r1", "runs/r1"):
        assert yaml.safe_load((project / folder / "params.yaml").read_text())["train"]["epochs"] == 3


def test_what_a_run_was_made_from_is_kept_with_it(project: Path) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n  train:\n    cmd: x\n  ingest:\n    cmd: x\n")
    opening_of(project)
    kept = json.loads((project / ".worktrees" / "r1" / INPUTS).read_text())
    assert kept["known"] == ["train", "ingest"]
    assert kept["inputs"].startswith("sha256:")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"overrides": {"train.epoch": 3}}, "did you mean 'train.epochs'"),
        ({"overrides": {"train.epochs": -1}}, "override: train.epochs: "),
        ({"overrides": {"train.optimizer.settings.betta_1": 0.8}}, "override: unknown key .*did you mean .*beta_1"),
        ({"overrides": {"model": {"name": "cnn", "settings": {"filters": []}}}}, "override: model.settings.filters"),
        ({"overrides": {"train.schedule": "../../x"}}, "override: train.schedule.name"),
        ({"overrides": {"gate.minimum": {"acuracy": 0.9}}}, "override: gate.minimum"),
        ({"config": "configs/none.yaml"}, "none.yaml"),
        ({"run_id": "../r1"}, "run id"),
    ],
)
def test_a_run_that_is_refused_leaves_nothing(project: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opening_of(project, **asked)
    assert not (project / "runs").exists()
    assert not (project / ".worktrees").exists()


def answered(root: Path) -> None:
    """Run `earlier` to its end: it was refused."""
    opening_of(root, "earlier")
    inputs = json.loads((root / ".worktrees" / "earlier" / INPUTS).read_text())["inputs"]
    write_record(root / "runs" / "earlier" / VERDICT_FILE, REFUSED)
    freshness.remember_run(root, inputs, "earlier", None)


def test_what_was_answered_already_is_not_made_again(project: Path) -> None:
    answered(project)
    record = opening_of(project)
    assert (record.state, record.outcome, record.same_as) == ("success", "unchanged", "earlier")
    assert record.sentence == "nothing changed since run earlier: refuse, worse than v1"
    assert not (project / ".worktrees" / "r1").exists()
    assert (project / "runs" / "r1" / VERDICT_FILE).is_file()


@pytest.mark.parametrize("asked", [{"is_forced": True}, {"overrides": {"train.epochs": 3}}])
def test_another_question_or_the_same_by_force_is_made(project: Path, asked: dict[str, Any]) -> None:
    answered(project)
    assert opening_of(project, **asked).same_as is None
    assert (project / ".worktrees" / "r1").is_dir()


def test_an_answer_against_another_champion_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(project)
    monkeypatch.setattr(opening, "champion_now", lambda *_: {"version": "2", "digest": "sha256:2", "tags": {}})
    assert opening_of(project).same_as is None


def test_an_answer_that_was_thrown_away_is_made_again(project: Path) -> None:
    answered(project)
    shutil.rmtree(project / "runs" / "earlier")
    assert opening_of(project).same_as is None


def test_the_data_of_a_date_are_those_of_a_source_that_keeps_them(project: Path) -> None:
    (project / "samples" / "fashion_mnist" / "2026-11-20").mkdir(parents=True)
    record = opening_of(project, as_of="2026-11-22")
    assert (record.overrides, record.sentence) == ({"ingest.as_of": "2026-11-22"}, "")


def test_a_source_that_keeps_no_dates_is_read_as_it_is_and_that_is_said(project: Path) -> None:
    record = opening_of(project, as_of="2026-11-22")
    assert record.overrides == {}
    assert (
        record.sentence
        == "samples/fashion_mnist keeps no snapshots to say what it held on 2026-11-22: today's data are used"
    )


def test_a_worktree_left_half_made_is_made_anew(project: Path) -> None:
    (project / ".worktrees" / "r1").mkdir(parents=True)
    (project / ".worktrees" / "r1" / "half").touch()
    opening_of(project)
    assert not (project / ".worktrees" / "r1" / "half").exists()
    assert (project / ".worktrees" / "r1" / "dvc.yaml").is_file()


def test_opening_an_open_run_keeps_it(root: Path) -> None:
    workspace = opened(root, state="failed", end=history.now())
    (workspace / "made").write_text("by an earlier stage")
    record = opening.open_run(root, RunRequest(id="r1"), dict(os.environ))
    assert (record.state, record.end) == ("running", None)
    assert (workspace / "made").is_file()
