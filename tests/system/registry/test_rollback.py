"""Where a person has the last word: rolling back, overruling the gate, and a champion that cannot be met."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.registry import by_hand
from pipeline.registry.reader import open_reader
from pipeline.registry.tracking import open_client
from tests.registry.answering import commands_in
from tests.system.registry.shapes import NAME


def test_a_rollback_restores_the_champion_before_and_is_not_undone_by_register(workspace):
    workspace.publish("first")
    workspace.publish("second")
    by_hand.rollback(workspace.store, NAME, "worse on the new cameras")
    first, second = workspace.versions()
    assert first.is_champion
    assert second.is_rolled_back
    assert second.history[-1]["reason"] == "worse on the new cameras"
    assert workspace.publish("second")["outcome"] == "kept"
    assert workspace.champion().version == 1
    with pytest.raises(UsageError, match="no champion before it"):
        by_hand.rollback(workspace.store, NAME, "again")

    by_hand.rollback(workspace.store, NAME, "the cameras were at fault", to="2")
    assert workspace.champion().version == 2
    assert not workspace.champion().is_rolled_back


def test_a_person_overrules_the_gate_with_a_reason_that_is_kept(workspace):
    workspace.publish("first")
    workspace.publish("bad", "refuse")
    with pytest.raises(UsageError, match="a reason is needed"):
        by_hand.promote(workspace.store, NAME, "2", "  ")
    said = by_hand.promote(workspace.store, NAME, "2", "a demonstration")
    assert said == "shapes v2 is champion, in place of v1; the anchor stays v1"
    champion_now = workspace.champion()
    assert (champion_now.version, champion_now.anchor.version) == (2, 1)
    assert (champion_now.history[-1]["event"], champion_now.history[-1]["reason"]) == (
        "promoted by hand",
        "a demonstration",
    )
    assert workspace.publish("bad", "refuse")["outcome"] == "kept"
    with pytest.raises(UsageError, match=r"has no version '9' \(it has 1, 2\)"):
        by_hand.show(workspace.store, NAME, "9")


def test_an_alias_that_another_tool_moves_back_brings_no_older_anchor(workspace):
    workspace.publish("first")
    workspace.publish("second")
    before = workspace.champion()
    open_client(workspace.store).set_registered_model_alias(NAME, "champion", "1")
    workspace.rule("bad", "refuse")
    told = workspace.json("models/champion/champion.json")["problem"]
    assert "another tool has moved the alias `champion` to shapes v1 while v2 was champion" in told
    assert any(told in check["sentence"] for check in workspace.json("reports/verdict.json")["checks"])
    for number, _ in commands_in(told):
        by_hand.promote(workspace.store, NAME, number, "as it says")
        champion_now = workspace.champion()
        assert (champion_now.version, champion_now.anchor) == (int(number), before.anchor)
        workspace.run("champion")
        assert workspace.json("models/anchor/anchor.json")["problem"] is None


def test_an_old_champion_of_other_classes_is_a_refusal_that_says_what_to_do(workspace, make_workspace):
    workspace.publish("first")
    [version] = workspace.versions()
    location = Path(open_reader(workspace.store).location(version))
    for path in workspace.zoo.model("other").iterdir():
        shutil.copyfile(path, location / path.name)
    damaged = workspace.judge("second")
    assert damaged["outcome"] == "refuse"
    assert "champion v1 cannot be compared with: shapes v1 is damaged" in damaged["reason"]
    was, now = version.digest, workspace.zoo.digest("other")
    with sqlite3.connect(workspace.store.database) as connection:  # as if it had been trained for these classes
        connection.execute("UPDATE model_version_tags SET value = replace(value, ?, ?)", (was, now))
        last = "UPDATE registered_model_tags SET value = replace(value, ?, ?) WHERE key LIKE 'ratchet.last%'"
        connection.execute(last, (was, now))
        connection.execute("DELETE FROM model_version_tags WHERE key = 'ratchet.ledger'")
    connection.close()
    verdict = workspace.judge("second")
    assert verdict["outcome"] == "refuse"
    assert "it was trained for 3 other classes: cat, dog, cow" in verdict["reason"]
    assert "ratchet registry promote" in verdict["reason"]
    workspace.run("register")
    by_hand.promote(workspace.store, NAME, "2", "the old one knows other classes", is_anchor=True)
    assert workspace.champion().version == 2
    assert workspace.champion().anchor == workspace.champion().identity
