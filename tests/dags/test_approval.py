"""A person's yes: asked for where the gate has passed a candidate, and only there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from dags.approval import Approve
from tests.dags.task_run import PLACE, context, execute
from tests.dags.written import verdict


def test_a_refused_candidate_needs_nobodys_answer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / PLACE / "reports" / "verdict.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(verdict("refuse")))
    monkeypatch.setattr("dags.approval.ROOT", project)
    assert execute(Approve(task_id="approve", subject="?", defaults="Reject"), context()) is None


def test_a_passing_one_waits_for_a_person(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / PLACE / "reports" / "verdict.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(verdict("promote")))
    monkeypatch.setattr("dags.approval.ROOT", project)
    questions: list[Any] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **details: questions.append(details))
    asked = context() | {"task_instance": SimpleNamespace(id="0")}
    with pytest.raises(TaskAwaitingInput):
        execute(Approve(task_id="approve", subject="Publish?", defaults="Reject"), asked)
    [question] = questions
    assert (question["subject"], question["options"]) == ("Publish?", ["Approve", "Reject"])
    assert question["defaults"] == ["Reject"]
