"""Whether a verdict still stands: whether the stages that look at the registry would find what they found."""

from __future__ import annotations

from pipeline.errors import TryAgain
from pipeline.records.verdict import Verdict
from pipeline.registry.champion import champion_to_challenge
from pipeline.registry.publish import decide
from pipeline.registry.reader import champion_of, open_reader, with_digest
from pipeline.registry.store import Store


def stands(store: Store, name: str, verdict: Verdict) -> bool:
    """Return whether nothing is to be compared, published or moved anew after a verdict."""
    reader = open_reader(store)
    if champion_to_challenge(reader, name, verdict.candidate) != verdict.champion:
        return False
    try:
        action = decide(verdict, with_digest(reader, name, verdict.candidate), champion_of(reader, name))
    except TryAgain:
        return False
    return not action.makes_version and not action.moves_alias
