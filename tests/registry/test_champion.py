"""Whom a candidate has to meet, and what is written of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.records.champion import ANCHOR_FILE, CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.registry import challenge as challenging
from pipeline.registry.challenge import Challenge
from pipeline.registry.champion import write_anchor, write_champion
from pipeline.registry.reader import champion_of
from pipeline.registry.versions import (
    ANCHOR,
    JUDGED_BY,
    LAST_ANCHOR,
    LAST_CHAMPION,
    LEDGER,
    REPLACED,
    history_tag,
)
from pipeline.registry.versions import COMPUTED_ON as COMPUTED_ON_TAG
from pipeline.storage.artifacts import digest_file
from pipeline.storage.judged_rows import JUDGED_BY_FILE, keys_of, read_keys, to_bytes
from pipeline.storage.record_files import read_record
from tests.records.examples import COMPUTED_ON
from tests.registry.local_registry import LocalRegistry

OLD = Identity(name="pets", version=1, digest="sha256:old")
ROW_IDS = ["9", "2", "5"]
NOW = Identity(name="pets", version=2, digest="sha256:now")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "champion").mkdir()
    return tmp_path / "champion"


def met(registry: LocalRegistry, candidate: str = "sha256:new") -> Challenge:
    return challenging.challenge(registry.reader, "pets", champion_of(registry.reader, "pets"), candidate)


def moved(at: str = "2026-11-01T00:00:00Z", what: str = "promoted") -> str:
    return history_tag([], {"event": what, "at_utc": at})


def test_the_first_model_meets_nobody(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:refused", tags={LEDGER: "1 sha256:line"})
    assert met(registry) == Challenge(None, None)


def test_a_candidate_meets_the_champion_and_the_anchor_of_its_time(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old")
    registry.add(2, "sha256:now", aliases=["champion"], tags={ANCHOR: "1 sha256:old"})
    assert met(registry) == Challenge(NOW, OLD)


def test_the_champion_of_a_registry_of_before_is_the_first_anchor(registry: LocalRegistry) -> None:
    registry.add(2, "sha256:now", aliases=["champion"], tags={REPLACED: "1 sha256:old"})
    assert met(registry) == Challenge(NOW, NOW)


def test_the_champion_itself_is_no_first_model_if_another_tool_has_made_it_champion(registry: LocalRegistry) -> None:
    registry.add(3, "sha256:new", aliases=["champion"])
    registry.tag("pets", LAST_CHAMPION, "2 sha256:now")
    found = met(registry)
    assert found.champion is not None
    assert found.problem is not None
    assert "another tool" in found.problem


def test_the_champion_itself_meets_the_one_it_replaced_and_the_anchor_of_then(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old", tags={ANCHOR: "1 sha256:old"})
    registry.add(2, "sha256:now", tags={ANCHOR: "1 sha256:old"})
    tags = {REPLACED: "2 sha256:now", ANCHOR: "3 sha256:new"}
    registry.add(3, "sha256:new", aliases=["champion"], tags=tags)
    assert met(registry) == Challenge(NOW, OLD)


def test_the_first_champion_itself_still_meets_nobody(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:new", aliases=["champion"], tags={REPLACED: "none", ANCHOR: "1 sha256:new"})
    assert met(registry) == Challenge(None, None)


def test_a_version_without_the_alias_after_a_kill_was_no_champion_yet(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old", tags={LEDGER: "1 sha256:line", ANCHOR: "1 sha256:old", "ratchet.history": moved()})
    assert met(registry) == Challenge(None, None)


def test_where_the_alias_was_removed_nobody_is_first(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old", tags={LEDGER: "1 sha256:line", ANCHOR: "1 sha256:old"})
    registry.tag("pets", LAST_CHAMPION, "1 sha256:old")
    found = met(registry)
    assert (found.champion, found.anchor) == (OLD, OLD)
    assert found.problem == (
        'pets v1 was champion, but the alias was removed; `ratchet registry promote 1 --reason "…"` brings it back'
    )


@pytest.mark.parametrize(
    ("anchor", "way_out"),
    [
        (
            "1 sha256:old",
            '`ratchet registry promote 1 --reason "…"` makes the anchor champion, and any other version can',
        ),
        ("2 sha256:now", '`ratchet registry promote 1 --anchor --reason "…"` makes v1 champion and anchor'),
        ("the best", '`ratchet registry promote 1 --anchor --reason "…"` makes v1 champion and anchor'),
    ],
    ids=["the anchor is there", "it was the anchor", "not known"],
)
def test_where_the_champions_version_was_removed_nobody_is_first(
    registry: LocalRegistry, anchor: str, way_out: str
) -> None:
    registry.add(1, "sha256:old")
    registry.tag("pets", LAST_CHAMPION, "2 sha256:now")
    registry.tag("pets", LAST_ANCHOR, anchor)
    found = met(registry)
    assert (found.champion, found.anchor) == (NOW, OLD if anchor == "1 sha256:old" else None)
    assert str(found.problem).startswith(f"pets v2 was champion and is no longer there; {way_out}")


def test_where_all_versions_were_removed_only_a_backup_helps(registry: LocalRegistry) -> None:
    registry.tag("pets", LAST_CHAMPION, "2 sha256:now")
    assert str(met(registry).problem).endswith(
        "no longer there; bring the registry back from a backup, or publish under another `name` in params.yaml"
    )


def test_where_an_earlier_ratchets_alias_was_removed_its_last_move_tells(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old", tags={"ratchet.history": moved("2026-11-03T00:00:00Z", "restored")})
    registry.add(2, "sha256:now", tags={"ratchet.history": moved("2026-11-02T00:00:00Z")})
    assert met(registry).champion == OLD


@pytest.mark.parametrize("tags", [{}, {ANCHOR: "2 sha256:now"}], ids=["of nobody's time", "of its time"])
def test_a_version_that_another_tool_made_champion_brings_no_anchor(
    registry: LocalRegistry, tags: dict[str, str]
) -> None:
    registry.add(1, "sha256:old", tags={ANCHOR: "1 sha256:old"})
    registry.add(2, "sha256:now", aliases=["champion"], tags=tags)
    registry.tag("pets", LAST_CHAMPION, "1 sha256:old")
    found = met(registry)
    assert (found.champion, found.anchor) == (NOW, OLD)
    assert found.problem == (
        "another tool has moved the alias `champion` to pets v2 while v1 was champion; "
        '`ratchet registry promote 2 --reason "…"` keeps v2 in use, '
        '`ratchet registry promote 1 --reason "…"` brings v1 back'
    )


@pytest.mark.parametrize(
    ("seen", "before", "was_moved_by_another_tool"),
    [(3, "1 sha256:old", False), (1, "1 sha256:old", True), (3, "none", True)],
    ids=["killed before the tag", "replaced it once, before it came back", "replaced another one"],
)
def test_a_killed_process_is_told_from_another_tool_by_the_history_of_the_version(
    registry: LocalRegistry, seen: int, before: str, was_moved_by_another_tool: bool
) -> None:
    def claim(seen: int, before: str) -> str:
        return history_tag([], {"event": "promoted", "champion_before": before, "seen": str(seen)})

    registry.add(1, "sha256:old", tags={ANCHOR: "1 sha256:old", "ratchet.history": claim(2, "2 sha256:now")})
    history = {"ratchet.history": claim(seen, before)}
    registry.add(2, "sha256:now", aliases=["champion"], tags={ANCHOR: "2 sha256:now", **history})
    registry.tag("pets", LAST_CHAMPION, "1 sha256:old")
    found = met(registry)
    assert (found.problem is not None) == was_moved_by_another_tool
    assert (found.champion, found.anchor) == (NOW, OLD if was_moved_by_another_tool else NOW)


def test_an_anchor_that_is_gone_is_told_and_the_champion_can_take_its_place(registry: LocalRegistry) -> None:
    registry.add(2, "sha256:now", aliases=["champion"], tags={ANCHOR: "1 sha256:old"})
    found = met(registry)
    assert (found.champion, found.anchor) == (NOW, None)
    assert found.problem == (
        "pets v1 was the anchor and is no longer in the registry; "
        '`ratchet registry promote 2 --anchor --reason "…"` leaves v2 in use'
    )


def test_where_the_champion_of_before_is_gone_the_candidate_that_replaced_it_meets_itself(
    registry: LocalRegistry,
) -> None:
    tags = {REPLACED: "1 sha256:old", ANCHOR: "2 sha256:now"}
    registry.add(2, "sha256:now", aliases=["champion"], tags=tags)
    assert met(registry, "sha256:now") == Challenge(NOW, NOW)


def test_an_anchor_that_names_nobody_is_none(registry: LocalRegistry) -> None:
    registry.add(2, "sha256:now", aliases=["champion"], tags={ANCHOR: "the best one"})
    found = met(registry)
    assert (found.champion, found.anchor) == (NOW, None)
    assert "was changed by hand" in str(found.problem)


def test_a_last_champion_that_names_nobody_is_no_first_model(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old", tags={LEDGER: "1 sha256:line"})
    registry.tag("pets", LAST_CHAMPION, "me")
    with pytest.raises(DataError, match="nothing says any more which; `ratchet registry promote 1 --anchor"):
        met(registry)


def written(registry: LocalRegistry, folder: Path, met: Challenge) -> Champion:
    found = write_champion(folder, registry.store, registry.reader, met)
    assert read_record(folder / CHAMPION_FILE, Champion) == found
    return found


def written_anchor(registry: LocalRegistry, folder: Path, met: Challenge) -> Champion:
    found = write_anchor(folder, registry.store, registry.reader, met)
    assert read_record(folder / ANCHOR_FILE, Champion) == found
    return found


def test_the_champions_files_stand_beside_what_it_is(registry: LocalRegistry, folder: Path, model: Path) -> None:
    registry.add(1, stored.digest(model), location=str(model))
    champion = Identity(name="pets", version=1, digest=stored.digest(model))
    assert written(registry, folder, Challenge(champion, champion)) == Champion(identity=champion, registry="local")
    assert stored.digest(folder) == champion.digest


def test_what_the_champion_was_computed_on_is_written_as_its_version_says(
    registry: LocalRegistry, folder: Path, model: Path
) -> None:
    tags = {COMPUTED_ON_TAG: json.dumps([COMPUTED_ON.to_json()])}
    registry.add(1, stored.digest(model), location=str(model), tags=tags)
    champion = Identity(name="pets", version=1, digest=stored.digest(model))
    assert written(registry, folder, Challenge(champion, champion)).computed_on == (COMPUTED_ON,)


def test_without_a_champion_only_that_is_written(registry: LocalRegistry, folder: Path) -> None:
    assert written(registry, folder, Challenge(None, None)) == Champion(identity=None, registry="local")
    assert written_anchor(registry, folder, Challenge(None, None)) == Champion(identity=None, registry="local")
    assert sorted(path.name for path in folder.iterdir()) == [ANCHOR_FILE, CHAMPION_FILE]


def test_an_anchor_of_its_own_has_its_files(registry: LocalRegistry, folder: Path, model: Path) -> None:
    registry.add(1, stored.digest(model), location=str(model))
    anchor = Identity(name="pets", version=1, digest=stored.digest(model))
    assert written_anchor(registry, folder, Challenge(NOW, anchor)) == Champion(identity=anchor, registry="local")
    assert stored.digest(folder) == anchor.digest


def test_an_anchor_that_is_the_champions_model_has_its_files_there(registry: LocalRegistry, folder: Path) -> None:
    assert written_anchor(registry, folder, Challenge(NOW, NOW)) == Champion(identity=NOW, registry="local")
    assert [path.name for path in folder.iterdir()] == [ANCHOR_FILE]


def test_the_list_of_the_test_rows_that_the_champion_was_judged_by_comes_with_it(
    registry: LocalRegistry, folder: Path, model: Path
) -> None:
    (model / JUDGED_BY_FILE).write_bytes(to_bytes(ROW_IDS))
    registry.add(
        1,
        stored.digest(model),
        location=str(model),
        tags={JUDGED_BY: f"sha256:t {digest_file(model / JUDGED_BY_FILE)}"},
    )
    champion = Identity(name="pets", version=1, digest=stored.digest(model))
    written(registry, folder, Challenge(champion, champion))
    assert read_keys(folder / JUDGED_BY_FILE).tolist() == sorted(keys_of(ROW_IDS).tolist())


@pytest.mark.parametrize(
    ("content", "tag"),
    [
        (to_bytes(ROW_IDS), "sha256:t sha256:0"),
        (None, "sha256:t sha256:0"),
        (to_bytes(ROW_IDS), "none"),
        (to_bytes(ROW_IDS), None),
    ],
    ids=["changed", "gone", "of another verdict", "of an earlier Ratchet"],
)
def test_a_list_that_is_not_whole_is_none_and_the_champion_is_met_without(
    registry: LocalRegistry, folder: Path, model: Path, content: bytes | None, tag: str | None
) -> None:
    if content:
        (model / JUDGED_BY_FILE).write_bytes(content)
    registry.add(1, stored.digest(model), location=str(model), tags={JUDGED_BY: tag} if tag else {})
    champion = Identity(name="pets", version=1, digest=stored.digest(model))
    assert written(registry, folder, Challenge(champion, champion)).problem is None
    assert not (folder / JUDGED_BY_FILE).exists()


@pytest.mark.parametrize(
    ("digest", "problem"),
    [
        ("sha256:met", "pets v1 is damaged: its files no longer have the digest they were registered with"),
        ("sha256:forged", "pets v1 is now another model than the one compared with"),
        (None, "pets v1 is no longer in the registry"),
    ],
)
def test_what_cannot_be_had_is_a_fact_for_the_gate_and_leaves_no_files(
    registry: LocalRegistry, folder: Path, model: Path, digest: str | None, problem: str
) -> None:
    if digest:
        registry.add(1, digest, location=str(model))
    gone = Identity(name="pets", version=1, digest="sha256:met")
    assert written(registry, folder, Challenge(gone, gone)).problem == problem
    way_out = '`ratchet registry promote 2 --anchor --reason "…"` makes the champion the anchor'
    assert written_anchor(registry, folder, Challenge(NOW, gone)).problem == f"{problem}; {way_out}"
    assert sorted(path.name for path in folder.iterdir()) == [ANCHOR_FILE, CHAMPION_FILE]


def test_whose_champion_is_not_known_has_a_problem_twice(registry: LocalRegistry, folder: Path) -> None:
    met = Challenge(NOW, None, "the alias was removed")
    assert written(registry, folder, met) == Champion(identity=NOW, registry="local", problem="the alias was removed")
    assert written_anchor(registry, folder, met).problem == "the alias was removed"


def test_an_anchor_that_went_with_the_champion_of_before_is_said_to_be_gone(
    registry: LocalRegistry, folder: Path
) -> None:
    assert written_anchor(registry, folder, Challenge(OLD, None)).problem == "with pets v1, its anchor is gone"
