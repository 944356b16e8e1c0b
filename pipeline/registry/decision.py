"""What a verdict requires of the registry as it is now: values in, a decision out. Quick to import.

A model does not challenge itself: if the candidate *is* the registry's champion, it is compared with the champion that
it replaced, so that a second run with nothing changed finds nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import TryAgain
from pipeline.records.identity import Identity
from pipeline.records.registration import RegistrationOutcome
from pipeline.records.verdict import Verdict
from pipeline.registry.reader import Reader, champion_of
from pipeline.registry.versions import Version


@dataclass(frozen=True)
class RegistryAction:
    """What to do: make a version, move the alias, both, or nothing."""

    outcome: RegistrationOutcome
    sentence: str
    makes_version: bool = False
    moves_alias: bool = False


def champion_to_challenge(reader: Reader, name: str, candidate: str) -> Identity | None:
    """Return the version that a candidate with this digest is compared with; None if it is the first model."""
    champion = champion_of(reader, name)
    if champion is None:
        return None
    return champion.replaced if champion.digest == candidate else champion.identity


def decide(verdict: Verdict, own: Version | None, champion: Version | None) -> RegistryAction:
    """Return what a verdict requires, given the version that holds the candidate and the champion, as they are now.

    Raises TryAgain if the verdict is to promote, but the candidate was compared with another champion.
    """
    if champion is not None and champion.digest == verdict.candidate:
        return RegistryAction("kept", f"v{champion.version} is the champion already")
    in_use = f"champion v{champion.version} stays" if champion else "there is no champion yet"
    if not verdict.promotes:
        return RegistryAction("refused", f"refused: {verdict.reason}; {in_use}", makes_version=own is None)
    if own is not None and own.is_rolled_back:
        return RegistryAction(
            "kept",
            f"v{own.version} was rolled back by a person and is not promoted again by itself; {in_use}; "
            f'`ratchet registry promote {own.name} {own.version} --reason "…"` does it',
        )
    if (champion.identity if champion else None) != verdict.champion:
        then = f"v{verdict.champion.version}" if verdict.champion else "no champion"
        now = f"the champion is v{champion.version}" if champion else "there is no champion"
        raise TryAgain(f"model registry: the candidate was judged against {then}, but by now {now}; run again")
    replaced = f"replaces v{champion.version}" if champion else "is the first champion"
    return RegistryAction("promoted", replaced, makes_version=own is None, moves_alias=True)
