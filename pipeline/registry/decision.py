"""What a verdict requires of the registry as it is now: values in, a decision out. Quick to import."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import TryAgain
from pipeline.records.identity import Identity
from pipeline.records.registration import RegistrationOutcome
from pipeline.records.verdict import Verdict
from pipeline.registry.challenge import Challenge
from pipeline.registry.commands import promote_command
from pipeline.registry.versions import Version


@dataclass(frozen=True)
class RegistryAction:
    """What to do: record the verdict, make a version, move the alias, or nothing."""

    outcome: RegistrationOutcome
    sentence: str
    is_recorded: bool = True  # in the ledger; not so of the champion itself, which meets nobody new
    makes_version: bool = False
    moves_alias: bool = False


def decide(
    verdict: Verdict, own: Version | None, champion: Version | None, challenge: Challenge, beyond: str = ""
) -> RegistryAction:
    """Return what a verdict requires, given the version that holds the candidate and the champion, as they are now.

    `challenge` is whom the candidate would meet now; `beyond` says which bound of this machine it does not hold, ""
    if there is none. Raises TryAgain if the verdict is to promote, but the candidate
    was compared with another champion or another anchor; or if an earlier Ratchet has given it, which knew no anchor.
    """
    if champion is not None and champion.digest == verdict.candidate:
        return RegistryAction("kept", f"v{champion.version} is the champion already", is_recorded=False)
    if not (verdict.rule_digest and verdict.test_digest):
        raise TryAgain(
            "model registry: the verdict does not say by which rule and on which rows it was given, as an earlier "
            "Ratchet's does not; run again"
        )
    in_use = f"champion v{champion.version} stays" if champion else "there is no champion"
    if not verdict.promotes:
        return RegistryAction("refused", f"refused: {verdict.reason}; {in_use}", makes_version=own is None)
    if own is not None and own.is_rolled_back:
        return RegistryAction(
            "kept",
            f"v{own.version} was rolled back by a person and is not promoted again by itself; {in_use}; "
            f"{promote_command(own.version)} does it",
        )
    if challenge.problem or challenge.champion != verdict.champion:
        then = f"v{verdict.champion.version}" if verdict.champion else "no champion"
        now = f"the champion is v{champion.version}" if champion else "there is no champion"
        raise TryAgain(f"model registry: the candidate was judged against {then}, but by now {now}; run again")
    if challenge.anchor != verdict.anchor:
        then, now = (_named(anchor) for anchor in (verdict.anchor, challenge.anchor))
        raise TryAgain(f"model registry: the candidate was held to {then}, but by now the anchor is {now}; run again")
    if beyond:
        return RegistryAction(
            "held", f"passed the gate, but {beyond} (export in execution.yaml); {in_use}", makes_version=own is None
        )
    replaced = f"replaces v{champion.version}" if champion else "is the first champion"
    return RegistryAction("promoted", replaced, makes_version=own is None, moves_alias=True)


def anchor_after(verdict: Verdict, promoted: Identity) -> Identity:
    """Return the anchor in force once the candidate is champion, as the version `promoted`."""
    return promoted if verdict.moves_anchor or verdict.anchor is None else verdict.anchor


def _named(anchor: Identity | None) -> str:
    return f"v{anchor.version}" if anchor else "no anchor"
