"""Each sentence that refuses names commands, and each of them works: it is run here as a person would run it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError, UsageError
from pipeline.models import stored
from pipeline.records.identity import Identity
from pipeline.records.verdict import Verdict
from pipeline.registry import by_hand, ledger, runs, tracking
from pipeline.registry.challenge import Challenge, in_force
from pipeline.registry.champion import write_anchor
from pipeline.registry.moving import settle
from pipeline.registry.publish import Candidate, register
from pipeline.registry.reader import champion_of
from pipeline.registry.versions import ANCHOR, LAST_ANCHOR, LAST_CHAMPION, REPLACED, history_tag
from tests.models.made import architecture
from tests.registry.answering import commands_in
from tests.registry.judged import ANN, add_line, judged, lines_of
from tests.registry.local_client import Client
from tests.registry.local_registry import LocalRegistry

DELETE = "UPDATE model_versions SET current_stage = 'Deleted_Internal' WHERE version = {0};" + (
    "DELETE FROM registered_model_aliases WHERE version = {0};"
)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalRegistry:
    """Champions v1 and v2, the anchor v1, and v3, which was refused; v2 is in use."""
    made = LocalRegistry(tmp_path)
    folders = [tmp_path / str(number) for number in (1, 2, 3)]
    for number, folder in enumerate(folders):
        weights = {"dense/kernel": np.full((2, 2), number, np.float32)}
        stored.save_weights(folder, architecture(classes=("a", "b")), weights)
    anchor = f"1 {stored.digest(folders[0])}"
    for number, before, aliases in ((1, "none", ()), (2, anchor, ("champion",))):
        moved = {"event": "promoted", "champion_before": before, "seen": str(number - 1)}
        tags = {ANCHOR: anchor, REPLACED: before, "ratchet.history": history_tag([], moved)}
        folder = folders[number - 1]
        made.add(number, stored.digest(folder), location=str(folder), tags=tags, aliases=aliases)
    made.add(3, stored.digest(folders[2]), location=str(folders[2]))
    made.tag("pets", LAST_CHAMPION, f"2 {stored.digest(folders[1])}")
    made.tag("pets", LAST_ANCHOR, anchor)
    monkeypatch.setattr(tracking, "open_client", lambda _: Client(made))
    monkeypatch.setattr(tracking, "failures_named", lambda _: nullcontext())
    return made


def now(registry: LocalRegistry) -> Challenge:
    return in_force(registry.reader, "pets", champion_of(registry.reader, "pets"))


def alias_moved(number: int) -> str:
    return f"UPDATE registered_model_aliases SET version = {number};"


CASES = {
    "the alias was removed": ("DELETE FROM registered_model_aliases;", 1, ["2"]),
    "the alias was moved to an earlier champion": (alias_moved(1), 1, ["1", "2"]),
    "the alias was moved to a refused version": (alias_moved(3), 1, ["3", "2"]),
    "the champion was deleted": (DELETE.format(2), 1, ["1"]),
    "the alias was moved and the champion deleted": (alias_moved(3) + DELETE.format(2), 1, ["3"]),
    "champion and anchor were deleted": (DELETE.format(2) + DELETE.format(1), None, ["3"]),
    "the anchor was deleted": (DELETE.format(1), None, ["2"]),
    "the anchor's tag was edited": (
        f"UPDATE model_version_tags SET value = 'the best' WHERE key = '{ANCHOR}' AND version = 2;", 1, ["2"],
    ),
    "the last champion's tag was edited": (
        f"UPDATE registered_model_tags SET value = 'me' WHERE key = '{LAST_CHAMPION}';", 1, ["2"],
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("change", "anchor", "named"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("which", [0, 1])
def test_what_a_problem_names_solves_it_and_an_anchor_that_is_there_stays(
    registry: LocalRegistry, change: str, anchor: int | None, named: list[str], which: int
) -> None:
    registry.execute(change)
    met = now(registry)
    commands = commands_in(str(met.problem))
    assert [number for number, _ in commands] == named
    assert (met.anchor.version if met.anchor else None) == anchor
    number, is_anchor = commands[which % len(commands)]
    assert is_anchor == (anchor is None)
    by_hand.promote(registry.store, "pets", number, "as it says", is_anchor=is_anchor, actor=ANN)
    after = now(registry)
    assert after.problem is None
    assert after.champion is not None
    assert after.anchor is not None
    assert (after.champion.version, after.anchor.version) == (int(number), anchor or int(number))


def test_where_nothing_says_who_was_champion_the_command_names_one(registry: LocalRegistry) -> None:
    registry.execute("DELETE FROM registered_model_aliases; DELETE FROM model_version_tags WHERE key LIKE '%history';")
    registry.tag("pets", LAST_CHAMPION, "me")
    with pytest.raises(DataError, match="nothing says any more which") as raised:
        now(registry)
    [(number, is_anchor)] = commands_in(str(raised.value))
    by_hand.promote(registry.store, "pets", number, "as it says", is_anchor=is_anchor, actor=ANN)
    assert now(registry).problem is None


def test_who_can_name_no_anchor_is_told_the_command_that_does(registry: LocalRegistry) -> None:
    registry.execute(DELETE.format(2) + DELETE.format(1))
    with pytest.raises(UsageError, match="no anchor is known that could stay in force") as raised:
        by_hand.promote(registry.store, "pets", "3", "so it is", actor=ANN)
    assert "with --anchor, v3 becomes the anchor" in str(raised.value)
    by_hand.promote(registry.store, "pets", "3", "so it is", is_anchor=True, actor=ANN)
    assert now(registry).problem is None


def test_an_anchor_that_is_damaged_is_replaced_by_the_champion_by_the_command_said(
    registry: LocalRegistry, tmp_path: Path
) -> None:
    (tmp_path / "1" / stored.WEIGHTS_FILE).write_bytes(b"damaged")
    (tmp_path / "anchor").mkdir()
    written = write_anchor(tmp_path / "anchor", registry.store, registry.reader, now(registry))
    [(number, is_anchor)] = commands_in(str(written.problem))
    by_hand.promote(registry.store, "pets", number, "as it says", is_anchor=is_anchor, actor=ANN)
    after = now(registry)
    assert (after.anchor, after.problem) == (after.champion, None)


def test_a_person_can_overrule_a_verdict_and_the_line_that_contradicts_it(registry: LocalRegistry) -> None:
    refused = registry.reader.version("pets", 3)
    met = now(registry)
    assert refused is not None
    add_line(registry, judged(refused.digest, met.champion, met.anchor, promotes=False))
    other = judged(refused.digest, met.champion, met.anchor)
    with pytest.raises(DataError, match="contradicts line 1") as raised:
        ledger.require_no_other(lines_of(registry), "pets", other, refused)
    [(number, is_anchor)] = commands_in(str(raised.value))
    by_hand.promote(registry.store, "pets", number, "as it says", is_anchor=is_anchor, actor=ANN)
    after = now(registry)
    assert after == Challenge(refused.identity, met.anchor)


def test_an_anchor_made_by_hand_is_remembered_beside_the_champion(registry: LocalRegistry) -> None:
    champion = now(registry).champion
    assert champion is not None
    by_hand.promote(registry.store, "pets", "2", "so it is", is_anchor=True, actor=ANN)
    assert registry.reader.model_tags("pets")[LAST_ANCHOR] == f"2 {champion.digest}"


def test_a_roll_back_brings_back_champion_and_anchor_and_is_no_problem(registry: LocalRegistry) -> None:
    by_hand.promote(registry.store, "pets", "3", "so it is", is_anchor=True, actor=ANN)
    by_hand.rollback(registry.store, "pets", "worse", actor=ANN)
    after = now(registry)
    assert after.problem is None
    assert isinstance(after.champion, Identity)
    assert after.champion.version == 2
    assert after.anchor is not None
    assert after.anchor.version == 1


def test_a_broken_line_is_told_with_the_way_out_of_a_ledger(registry: LocalRegistry) -> None:
    registry.tag("pets", "ratchet.ledger.000001.0123456789abcdef", "[]")
    with pytest.raises(DataError) as raised:
        lines_of(registry)
    assert "make it again" not in str(raised.value)
    assert str(raised.value).endswith(
        "must be a JSON object; bring the registry back from a backup, or publish under another `name` in params.yaml"
    )


class Beside(Client):
    """The client of a machine beside which another one writes the contrary line at the same moment."""

    def __init__(self, registry: LocalRegistry, other: Verdict) -> None:
        super().__init__(registry)
        self._line = ledger.line_after(lines_of(registry), "pets", other, ANN)

    def set_registered_model_tag(self, name: str, key: str, text: str) -> None:
        super().set_registered_model_tag(name, key, text)
        if key.startswith("ratchet.ledger.000001."):
            ledger.write(Client(self._registry), self._line)

    def get_experiment_by_name(self, _: str) -> None:
        return None


def test_two_machines_that_judge_the_same_otherwise_at_one_moment_promote_nothing(
    registry: LocalRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, met = registry.reader.version("pets", 3), now(registry)
    assert own is not None
    given = judged(own.digest, met.champion, met.anchor)
    other = judged(own.digest, met.champion, met.anchor, promotes=False)
    monkeypatch.setattr(tracking, "open_client", lambda _: Beside(registry, other))
    monkeypatch.setattr(runs, "ensure_registered_model", lambda *_: None)
    candidate = Candidate("pets", tmp_path / "3", given, lambda: None, lambda: pytest.fail("nothing is made"))
    with pytest.raises(DataError, match="contradicts line 1"):
        register(registry.store, candidate, ANN, tmp_path / "scratch")
    assert now(registry) == met
    assert len(lines_of(registry)) == 2
    with pytest.raises(DataError, match="contradicts line 1"):
        register(registry.store, candidate, ANN, tmp_path / "scratch")


def test_nothing_is_remembered_of_a_champion_that_another_tool_has_made(registry: LocalRegistry) -> None:
    registry.execute(alias_moved(1))
    champion, before = champion_of(registry.reader, "pets"), registry.reader.model_tags("pets")
    assert champion is not None
    settle(Client(registry), registry.reader, champion)
    assert registry.reader.model_tags("pets") == before
