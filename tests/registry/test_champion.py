"""Which champion a candidate has to meet, and what is written of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models import stored
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.registry.champion import write_champion
from pipeline.registry.decision import champion_to_challenge
from pipeline.registry.versions import REPLACED
from pipeline.storage.record_files import read_record
from tests.registry.local_registry import LocalRegistry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "champion").mkdir()
    return tmp_path / "champion"


def written(registry: LocalRegistry, folder: Path, champion: Identity | None) -> Champion:
    found = write_champion(folder, registry.store, registry.reader, champion)
    assert read_record(folder / CHAMPION_FILE, Champion) == found
    return found


def test_the_first_model_meets_nobody(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:refused")
    assert champion_to_challenge(registry.reader, "pets", "sha256:new") is None


def test_a_candidate_meets_the_champion(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:old", aliases=["champion"])
    found = champion_to_challenge(registry.reader, "pets", "sha256:new")
    assert found == Identity(name="pets", version=1, digest="sha256:old")


def test_the_champion_itself_meets_the_one_it_replaced(registry: LocalRegistry) -> None:
    registry.add(2, "sha256:new", aliases=["champion"], tags={REPLACED: "1 sha256:old"})
    found = champion_to_challenge(registry.reader, "pets", "sha256:new")
    assert found == Identity(name="pets", version=1, digest="sha256:old")


def test_the_first_champion_itself_still_meets_nobody(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:new", aliases=["champion"], tags={REPLACED: "none"})
    assert champion_to_challenge(registry.reader, "pets", "sha256:new") is None


def test_the_champions_files_stand_beside_what_it_is(registry: LocalRegistry, folder: Path, model: Path) -> None:
    registry.add(1, stored.digest(model), location=str(model))
    champion = Identity(name="pets", version=1, digest=stored.digest(model))
    assert written(registry, folder, champion) == Champion(identity=champion, registry="local")
    assert stored.digest(folder) == champion.digest


def test_without_a_champion_only_that_is_written(registry: LocalRegistry, folder: Path) -> None:
    assert written(registry, folder, None) == Champion(identity=None, registry="local")
    assert [path.name for path in folder.iterdir()] == [CHAMPION_FILE]


@pytest.mark.parametrize(
    ("digest", "problem"),
    [
        ("sha256:met", "pets v1 is damaged: its files no longer have the digest they were registered with"),
        ("sha256:forged", "pets v1 is now another model than the one compared with"),
        (None, "pets v1 is no longer in the registry"),
    ],
)
def test_a_champion_that_cannot_be_had_is_a_fact_for_the_gate_and_leaves_no_files(
    registry: LocalRegistry, folder: Path, model: Path, digest: str | None, problem: str
) -> None:
    if digest:
        registry.add(1, digest, location=str(model))
    champion = Identity(name="pets", version=1, digest="sha256:met")
    assert written(registry, folder, champion).problem == problem
    assert [path.name for path in folder.iterdir()] == [CHAMPION_FILE]
