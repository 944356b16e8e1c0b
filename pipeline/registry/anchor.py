"""Why the anchor is the one it is, where a person has decided that: who, and for what reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.records.identity import Identity
from pipeline.registry.reader import Reader, find
from pipeline.registry.versions import Version, identity_in, identity_tag

ANCHORED = "made the anchor by hand"
PROMOTED = "promoted by hand"


def told(name: str, event: Mapping[str, Any], own: Identity) -> str:
    """Return what an event of a version's history, done by a person, says of the anchor; "" if it says nothing."""
    anchor = identity_in(name, str(event.get("anchor", "")))
    if anchor is None or event.get("event") not in (PROMOTED, ANCHORED):
        return ""
    return "it is the anchor" if anchor == own else f"the anchor stays v{anchor.version}"


def by_hand(reader: Reader, champion: Identity | None, anchor: Identity | None) -> str | None:
    """Return who left the anchor in force while `champion` is champion, or who made it the anchor, and why.

    None where nobody has: it is the one that was last proven better.
    """
    in_use, held_to = (find(reader, each) if each else None for each in (champion, anchor))
    event = _last(in_use)
    if in_use and anchor and event.get("event") == PROMOTED and event["anchor"] != identity_tag(in_use.identity):
        return f"it stayed when {_who(event)} promoted v{in_use.version} by hand: {event.get('reason', '')}"
    event = _last(held_to)
    if held_to and event.get("event") in (PROMOTED, ANCHORED) and event["anchor"] == identity_tag(held_to.identity):
        return f"{_who(event)} made it the anchor by hand: {event.get('reason', '')}"
    return None


def _last(version: Version | None) -> Mapping[str, str]:
    """Return the last event of a version's history that says which anchor is in force."""
    events = version.history if version else []
    said = [event for event in events if isinstance(event, dict) and isinstance(event.get("anchor"), str)]
    return said[-1] if said else {}


def _who(event: Mapping[str, str]) -> str:
    return event.get("by") or "somebody"
