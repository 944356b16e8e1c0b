"""What people ask of the registry, and what is refused before anything is written. What is written: tests/system."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import DataError, TryAgain, UsageError
from pipeline.models import stored
from pipeline.registry.by_hand import list_versions, named, promote, rollback, show
from pipeline.registry.store import locked
from pipeline.registry.versions import LAST_CHAMPION, REPLACED, ROLLED_BACK
from tests.registry.local_registry import LocalRegistry

WHY = "wrong labels"


@pytest.fixture
def filled(registry: LocalRegistry) -> LocalRegistry:
    registry.add(1, "sha256:one")
    registry.add(2, "sha256:two", aliases=["champion"], tags={REPLACED: "1 sha256:one"})
    registry.add(1, "sha256:plant", name="plants")
    return registry


def numbers(registry: LocalRegistry, name: str | None = None) -> list[tuple[str, int]]:
    return [(version.name, version.version) for version in list_versions(registry.store, name)]


def test_versions_are_listed_by_name_and_number(filled: LocalRegistry) -> None:
    assert numbers(filled) == [("pets", 1), ("pets", 2), ("plants", 1)]
    assert numbers(filled, "plants") == [("plants", 1)]
    assert numbers(filled, "stones") == []


@pytest.mark.parametrize("which", ["2", "v2", "champion"])
def test_a_version_is_shown_by_its_number_or_its_alias(filled: LocalRegistry, which: str) -> None:
    assert show(filled.store, "pets", which).digest == "sha256:two"


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ("", "pets v2"), ("pets", "pets v2"), ("plants@1", "plants v1"), ("pets@v1", "pets v1"), ("@1", "pets v1"),
        ("pets@champion", "pets v2"),
    ],
)  # fmt: skip
def test_a_version_is_named_as_a_person_names_it(filled: LocalRegistry, which: str, found: str) -> None:
    version = named(filled.store, which, "pets")
    assert f"{version.name} v{version.version}" == found


@pytest.mark.parametrize(("which", "like"), [("plants@", "plants@3"), ("@", "pets@3")])
def test_what_names_no_version_is_refused(filled: LocalRegistry, which: str, like: str) -> None:
    with pytest.raises(UsageError, match=f"^--model {which}: expected NAME or NAME@VERSION, like {like}"):
        named(filled.store, which, "pets", "--model ")


@pytest.mark.parametrize(("name", "which"), [("pets", "3"), ("pets", "challenger"), ("pet", "1"), ("pets", "9" * 20)])
def test_what_is_not_there_is_refused_with_what_is(filled: LocalRegistry, name: str, which: str) -> None:
    with pytest.raises(UsageError, match=r"it has 1, 2|did you mean 'pets'"):
        show(filled.store, name, which)


@pytest.mark.parametrize("reason", ["", " \n"])
def test_nothing_is_changed_without_a_reason(filled: LocalRegistry, reason: str) -> None:
    for change in (lambda: promote(filled.store, "pets", "1", reason), lambda: rollback(filled.store, "pets", reason)):
        with pytest.raises(UsageError, match="a reason is needed"):
            change()


def test_the_champion_is_not_promoted_again(filled: LocalRegistry) -> None:
    with pytest.raises(UsageError, match="pets v2 is the champion already"):
        promote(filled.store, "pets", "2", WHY)


def test_where_nobody_knows_the_anchor_a_person_has_to_name_one(registry: LocalRegistry, model: Path) -> None:
    registry.add(3, stored.digest(model), location=str(model))
    registry.tag("pets", LAST_CHAMPION, "2 sha256:gone")
    with pytest.raises(
        UsageError, match=r"\(pets v2 was champion and is no longer .* with --anchor, v3 becomes the anch"
    ):
        promote(registry.store, "pets", "3", WHY)


def test_damaged_bytes_are_not_promoted(filled: LocalRegistry, model: Path) -> None:
    filled.add(3, stored.digest(model), location=str(model))
    (model / stored.WEIGHTS_FILE).write_bytes(b"damaged")
    with pytest.raises(DataError, match="pets v3 is damaged"):
        promote(filled.store, "pets", "3", WHY)


def test_a_registry_that_is_being_written_to_asks_to_try_again(filled: LocalRegistry) -> None:
    with locked(filled.store), pytest.raises(TryAgain, match="run again"):
        promote(filled.store, "pets", "1", WHY, lock_timeout_s=0.05)


def test_without_a_champion_there_is_nothing_to_roll_back(filled: LocalRegistry) -> None:
    with pytest.raises(UsageError, match="plants"):
        rollback(filled.store, "plants", WHY)


@pytest.mark.parametrize(
    "replaced",
    [
        "none",
        "1 sha256:another",  # that number is another model now
        "8 sha256:gone",
        "2 sha256:two",  # itself
    ],
)
def test_a_champion_without_one_before_it_is_not_rolled_back(registry: LocalRegistry, replaced: str) -> None:
    registry.add(1, "sha256:one")
    registry.add(2, "sha256:two", aliases=["champion"], tags={REPLACED: replaced})
    with pytest.raises(UsageError, match=r"pets v2 has no champion before it that could be restored; name one with"):
        rollback(registry.store, "pets", WHY)


def test_a_champion_that_was_rolled_back_itself_is_passed_over(registry: LocalRegistry) -> None:
    registry.add(1, "sha256:one", tags={REPLACED: "none", ROLLED_BACK: "{}"})
    registry.add(2, "sha256:two", aliases=["champion"], tags={REPLACED: "1 sha256:one"})
    with pytest.raises(UsageError, match="has no champion before it"):
        rollback(registry.store, "pets", WHY)
