"""The alias moves from the version that was decided against, or not at all, whoever else writes the registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import TryAgain
from pipeline.registry.actor import Actor
from pipeline.registry.moving import move_alias
from pipeline.registry.reader import champion_of
from pipeline.registry.versions import REPLACED, identity_tag
from tests.registry.interleaved import InTurn, Turns, run_interleaved
from tests.registry.local_client import Client
from tests.registry.local_registry import LocalRegistry

KINDS = ("promoted", "promoted by hand", "restored")


def made(root: Path) -> LocalRegistry:
    """Three versions without a judgement, the first of them champion."""
    registry = LocalRegistry(root)
    for number in (1, 2, 3):
        registry.add(number, f"sha256:{number}", aliases=["champion"] if number == 1 else [])
    return registry


def move(registry: LocalRegistry, number: int, what: str, turns: Turns | None = None, actor: int = 0) -> None:
    """Make a version champion in place of version 1."""
    client: Any = Client(registry)
    reader: Any = registry.reader
    version, expected = reader.version("pets", number), reader.version("pets", 1)
    before = identity_tag(expected.identity)
    event = Actor("ann", "now").event(what, "better", before)
    if turns is not None:
        client, reader = InTurn(client, turns, actor), InTurn(reader, turns, actor)
    move_alias(client, reader, version, expected, {REPLACED: before}, event)


def champion(registry: LocalRegistry) -> int | None:
    found = champion_of(registry.reader, "pets")
    return found.version if found else None


def test_the_alias_moves_and_the_history_says_so(tmp_path: Path) -> None:
    registry = made(tmp_path)
    move(registry, 2, "promoted")
    assert champion(registry) == 2
    [version] = [version for version in registry.reader.versions("pets") if version.is_champion]
    assert [(event["event"], event["by"]) for event in version.moves.values()] == [("promoted", "ann")]


def test_another_champion_than_the_one_decided_against_is_left_as_it_is(tmp_path: Path) -> None:
    registry = made(tmp_path)
    move(registry, 2, "promoted")
    before = registry.reader.versions("pets")
    with pytest.raises(TryAgain, match=r"the champion is v1 when this was decided, but by now the champion is v2"):
        move(registry, 3, "promoted")
    assert registry.reader.versions("pets") == before


@pytest.mark.long
@given(
    schedule=st.lists(st.integers(0, 1), max_size=40),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
)
@example(schedule=[0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1], kinds=("promoted", "promoted"))
@example(schedule=[1] * 6, kinds=("promoted", "promoted by hand"))
def test_of_two_machines_at_once_at_most_one_is_told_done_and_then_its_version_is_champion(
    schedule: list[int], kinds: tuple[str, str]
) -> None:
    with TemporaryDirectory() as folder:
        registry = made(Path(folder))
        acts: list[Callable[[Turns, int], object]] = [
            partial(lambda number, what, turns, actor: move(registry, number, what, turns, actor), number, what)
            for number, what in zip((2, 3), kinds, strict=True)
        ]
        told = run_interleaved(acts, schedule)
        assert told.count("done") <= 1, told
        if "done" not in told:  # each has given way to the other: the next run settles it
            assert champion(registry) in (1, 2, 3)
            return
        won = told.index("done")
        assert champion(registry) == won + 2
        lost = registry.reader.version("pets", 3 - won)
        assert lost
        assert (lost.moves, REPLACED in lost.tags) == ({}, False)
