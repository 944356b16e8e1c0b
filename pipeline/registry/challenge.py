"""Whom a candidate has to meet: the champion, and the anchor in force. Quick to import.

The anchor is the champion that was last *proven* better than the anchor before it; the first champion is the first
anchor. Every champion has the anchor of its time in a tag, so a rollback brings back both. Of a champion that an
earlier Ratchet has made, nobody knows the anchor: it is the first one itself.

A model does not challenge itself: if the candidate *is* the registry's champion, it is compared with the champion that
it replaced, so that a second run with nothing changed finds nothing changed.

There is a first model only where there never was a champion. That there was one is a tag of the registered model,
written when the alias has moved: it is there when the alias or the version is not. A process killed between the two
has made no champion yet: the next one finishes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import DataError
from pipeline.records.identity import Identity
from pipeline.registry import ledger
from pipeline.registry.reader import Reader
from pipeline.registry.versions import ANCHOR, LAST_CHAMPION, LEDGER, REPLACED, Version, identity_in


@dataclass(frozen=True)
class Challenge:
    """The champion and the anchor that a candidate is compared with; both None for a first model.

    `problem` says why there is no comparison, and what a person can do: the champion, or its anchor, is not known. It
    is None if there are no files to compare with: that is seen when they are fetched.
    """

    champion: Identity | None
    anchor: Identity | None
    problem: str | None = None


def challenge(reader: Reader, name: str, champion: Version | None, candidate: str) -> Challenge:
    """Return whom a candidate with this digest meets; `champion` is the version with the alias.

    Raises DataError if that cannot be told from the registry.
    """
    if champion is None or champion.digest != candidate or REPLACED not in champion.tags:
        return in_force(reader, name, champion)  # without the tag, another tool has made it champion
    replaced = champion.replaced
    version = reader.version(replaced.name, replaced.version) if replaced else None
    return Challenge(replaced, version.anchor if version and version.identity == replaced else None)


def in_force(reader: Reader, name: str, champion: Version | None) -> Challenge:
    """Return the champion and the anchor as the registry has them, whoever asks; errors as `challenge`."""
    return _of_champion(reader, champion) if champion else _without_champion(reader, name)


def promote_command(version: str | int, *, is_anchor: bool = False) -> str:
    """Return the command by which a person makes a version champion, or the anchor."""
    return f'`ratchet registry promote {version}{" --anchor" if is_anchor else ""} --reason "…"`'


def _of_champion(reader: Reader, champion: Version) -> Challenge:
    named = f"{champion.name} v{champion.version}"
    way_out = f"{promote_command(champion.version, is_anchor=True)} makes it the anchor"
    if champion.anchor is None:
        problem = f"the tag {ANCHOR} of {named} was changed by hand and names no version; {way_out}"
        return Challenge(champion.identity, None, problem)
    if ANCHOR not in champion.tags and LAST_CHAMPION in reader.model_tags(champion.name):
        problem = f"{named} was made champion by another tool, so it was never held to an anchor; {way_out}"
        return Challenge(champion.identity, None, problem)
    return Challenge(champion.identity, champion.anchor)


def _without_champion(reader: Reader, name: str) -> Challenge:
    tags = reader.model_tags(name)
    last = identity_in(name, tags.get(LAST_CHAMPION, "")) or _last_of_before(reader, name)
    way_out = f"{promote_command('VERSION')} names the champion"
    if last is None:
        if LAST_CHAMPION in tags or any(line.champion for line in ledger.in_tags(name, tags)):
            raise DataError(f"model registry: {name} had a champion, and nothing says any more which; {way_out}")
        return Challenge(None, None)
    version = reader.version(name, last.version)
    if version is None or version.identity != last:
        way_out = f"{promote_command('VERSION', is_anchor=True)} names a champion and anchor"
        return Challenge(last, None, f"{name} v{last.version} was champion and is no longer in the registry; {way_out}")
    problem = f"{name} v{last.version} was champion, but the alias `champion` was removed; {way_out}"
    return Challenge(last, version.anchor, problem)


def _last_of_before(reader: Reader, name: str) -> Identity | None:
    """Return the last champion of a registry that only an earlier Ratchet has written, as its versions tell it."""
    moves = [
        (event.get("at_utc", ""), version.version, version.identity)
        for version in reader.versions(name)
        if LEDGER not in version.tags
        for event in version.moves.values()
    ]
    return max(moves, key=lambda move: move[:2])[2] if moves else None
