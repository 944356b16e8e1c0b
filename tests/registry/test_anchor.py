"""Why the anchor is the one it is, where a person has decided that."""

from __future__ import annotations

import json

import pytest

from pipeline.records.identity import Identity
from pipeline.registry.anchor import by_hand, told
from tests.registry.local_registry import LocalRegistry

FIRST, SECOND, THIRD = (Identity(name="pets", version=each, digest=f"sha256:{each}") for each in (1, 2, 3))
A, B, C = (f"{each.version} {each.digest}" for each in (FIRST, SECOND, THIRD))


def event(what: str, anchor: str, reason: str = "must go out") -> dict[str, str]:
    return {"event": what, "by": "ann", "reason": reason, "anchor": anchor}


def add(registry: LocalRegistry, number: int, *events: object) -> None:
    registry.add(number, f"sha256:{number}", tags={"ratchet.history": json.dumps(events)})


def test_an_anchor_that_was_proven_better_has_nobody_to_name(registry: LocalRegistry) -> None:
    add(registry, 1, event("promoted", A))
    add(registry, 2, {"event": "registered"}, event("promoted", A))
    assert by_hand(registry.reader, SECOND, FIRST) is None
    assert by_hand(registry.reader, None, None) is None


def test_who_promoted_by_hand_has_left_the_anchor(registry: LocalRegistry) -> None:
    add(registry, 1, event("promoted", A))
    add(registry, 2, event("promoted by hand", A))
    assert by_hand(registry.reader, SECOND, FIRST) == "it stayed when ann promoted v2 by hand: must go out"


def test_who_made_an_anchor_by_hand_is_named_as_long_as_it_is_in_force(registry: LocalRegistry) -> None:
    add(registry, 2, event("promoted", A), event("made the anchor by hand", B, "new cameras"))
    add(registry, 3, event("promoted", B))
    assert by_hand(registry.reader, SECOND, SECOND) == "ann made it the anchor by hand: new cameras"
    assert by_hand(registry.reader, THIRD, SECOND) == "ann made it the anchor by hand: new cameras"


def test_what_was_decided_before_the_last_move_does_not_count(registry: LocalRegistry) -> None:
    add(registry, 2, event("promoted by hand", A), event("promoted", B))
    assert by_hand(registry.reader, SECOND, SECOND) is None


@pytest.mark.parametrize("damaged", ["{}", '["x", {"anchor": 3}]', "[]"])
def test_a_history_that_tells_nothing_names_nobody(registry: LocalRegistry, damaged: str) -> None:
    registry.add(2, "sha256:2", tags={"ratchet.history": damaged})
    assert by_hand(registry.reader, SECOND, SECOND) is None
    assert by_hand(registry.reader, FIRST, FIRST) is None  # it is gone


@pytest.mark.parametrize(
    ("what", "anchor", "said"),
    [
        ("promoted by hand", A, "the anchor stays v1"),
        ("promoted by hand", B, "it is the anchor"),
        ("made the anchor by hand", B, "it is the anchor"),
        ("promoted", A, ""),
        ("promoted by hand", "the best", ""),
    ],
)
def test_an_event_says_what_became_of_the_anchor(what: str, anchor: str, said: str) -> None:
    assert told("pets", event(what, anchor), SECOND) == said
