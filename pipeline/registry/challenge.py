"""Whom a candidate has to meet: the champion, and the anchor in force. Quick to import.

The anchor is the champion that was last *proven* better than the anchor before it; the first champion is the first
anchor. Every champion has the anchor of its time in a tag, so a rollback brings back both. Of a champion that an
earlier Ratchet has made, nobody knows the anchor: it is the first one itself.

A model does not challenge itself: if the candidate *is* the registry's champion, it is compared with the champion that
it replaced, so that a second run with nothing changed finds nothing changed.

There is a first model only where there never was a champion. Who was the last one, and the anchor of its time, are tags
of the registered model, written when the alias has moved: they are there when the alias or the version is not. A
process killed between the two has made its champion, as that one's history says; the next one writes the tags. Where
the alias is on any other version than the last champion, another tool has moved it, and nobody is compared until a
person has said which of the two is champion. The anchor stays through all of that, as long as its version is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import DataError
from pipeline.records.identity import Identity
from pipeline.registry import ledger
from pipeline.registry.commands import RESTORE, promote_command
from pipeline.registry.reader import Reader, find
from pipeline.registry.versions import (
    ANCHOR,
    LAST_ANCHOR,
    LAST_CHAMPION,
    LEDGER,
    REPLACED,
    Version,
    identity_in,
    identity_tag,
)


@dataclass(frozen=True)
class Challenge:
    """The champion and the anchor that a candidate is compared with; both None for a first model.

    `problem` says why there is no comparison, and what a person can do: the champion, or its anchor, is not known or no
    longer there. It is None if there are no files to compare with: that is seen when they are fetched. With a problem,
    `anchor` is the one that stays in force if a person names a champion; None if nobody knows one that is there.
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
    if replaced is None:
        return Challenge(None, None)
    version = find(reader, replaced)
    if version is None or version.anchor is None or find(reader, version.anchor) is None:
        return in_force(reader, name, champion)  # there is nothing to repeat: it meets itself
    return Challenge(replaced, version.anchor)


def in_force(reader: Reader, name: str, champion: Version | None) -> Challenge:
    """Return the champion and the anchor as the registry has them, whoever asks; errors as `challenge`."""
    return _of_champion(reader, champion) if champion else _without_champion(reader, name)


def last_champion(reader: Reader, name: str) -> Identity | None:
    """Return the last champion, whether or not it is there; None if there was none, or nothing says any more which."""
    return _last(reader, name, reader.model_tags(name))


def _last(reader: Reader, name: str, tags: Mapping[str, str]) -> Identity | None:
    return identity_in(name, tags.get(LAST_CHAMPION, "")) or _last_of_before(reader, name)


def _of_champion(reader: Reader, champion: Version) -> Challenge:
    name, own = champion.name, f"v{champion.version}"
    tags = reader.model_tags(name)
    last = identity_in(name, tags.get(LAST_CHAMPION, ""))
    if LAST_CHAMPION in tags and last != champion.identity and not _has_just_moved(reader, champion, last):
        return _moved_by_another_tool(reader, champion, last, tags)
    anchor = champion.anchor if ANCHOR in champion.tags or LAST_CHAMPION not in tags else None
    if anchor is not None and find(reader, anchor) is not None:
        return Challenge(champion.identity, anchor)
    kept = _last_anchor(reader, name, tags) if last == champion.identity else None
    if anchor is None:
        why = f"the tag {ANCHOR} of {name} {own} was changed by hand and names no version"
    else:
        why = f"{name} v{anchor.version} was the anchor and is no longer in the registry"
    return Challenge(champion.identity, kept, f"{why}; {_way_out(champion.version, kept)} leaves {own} in use")


def _has_just_moved(reader: Reader, champion: Version, last: Identity | None) -> bool:
    """Return whether a version has replaced the last champion by a move that came after that one's.

    Then a process was killed between the alias and the tag. Claims are counted: see `moving`.
    """
    before = find(reader, last) if last else None
    moves = list(champion.moves.values())
    if before is None or not moves or moves[-1].get("champion_before") != identity_tag(last):
        return False
    return _seen(moves[-1]) > max((_seen(move) for move in before.moves.values()), default=-1)


def _seen(move: Mapping[str, str]) -> int:
    seen = move.get("seen", "")
    return int(seen) if seen.isdecimal() else 0


def _moved_by_another_tool(
    reader: Reader, champion: Version, last: Identity | None, tags: Mapping[str, str]
) -> Challenge:
    name, before = champion.name, find(reader, last) if last else None
    anchor = _anchor_of(reader, before) or _last_anchor(reader, name, tags)
    keeps = f"{_way_out(champion.version, anchor)} keeps v{champion.version} in use"
    if before is not None:
        keeps += f", {_way_out(before.version, anchor)} brings v{before.version} back"
    was = f"while v{last.version} was champion" if last else "and nothing says any more who was champion"
    problem = f"another tool has moved the alias `champion` to {name} v{champion.version} {was}; {keeps}"
    return Challenge(champion.identity, anchor, problem)


def _without_champion(reader: Reader, name: str) -> Challenge:
    tags = reader.model_tags(name)  # once: another machine may write them meanwhile
    last = _last(reader, name, tags)
    if last is None:
        if LAST_CHAMPION in tags or any(line.champion for line in ledger.in_tags(name, tags)):
            way_out = _newest(reader, name, None)
            raise DataError(f"model registry: {name} had a champion, and nothing says any more which; {way_out}")
        return Challenge(None, None)
    version = find(reader, last)
    anchor = _anchor_of(reader, version) or _last_anchor(reader, name, tags)
    if version is None:
        way_out = _newest(reader, name, anchor)
        return Challenge(last, anchor, f"{name} v{last.version} was champion and is no longer there; {way_out}")
    way_out = f"{_way_out(last.version, anchor)} brings it back"
    return Challenge(last, anchor, f"{name} v{last.version} was champion, but the alias was removed; {way_out}")


def _way_out(version: int, anchor: Identity | None) -> str:
    """Return the command that makes a version champion: it becomes the anchor where none is known that could stay."""
    return promote_command(version, is_anchor=anchor is None)


def _newest(reader: Reader, name: str, anchor: Identity | None) -> str:
    """Return a way out where the champion's version is gone: the anchor, or the newest version that was champion."""
    if anchor is not None:
        return f"{promote_command(anchor.version)} makes the anchor champion, and any other version can be named"
    there = [version for version in reader.versions(name) if version.digest]
    known = [version for version in there if version.moves] or there
    if not known:
        return RESTORE
    return f"{promote_command(known[-1].version, is_anchor=True)} makes v{known[-1].version} champion and anchor"


def _anchor_of(reader: Reader, version: Version | None) -> Identity | None:
    """Return the anchor of a version's time as champion, if it is there."""
    anchor = version.anchor if version else None
    return anchor if anchor is not None and find(reader, anchor) is not None else None


def _last_anchor(reader: Reader, name: str, tags: Mapping[str, str]) -> Identity | None:
    """Return the anchor of the last champion's time, as the registered model has it, if it is there."""
    anchor = identity_in(name, tags.get(LAST_ANCHOR, ""))
    return anchor if anchor is not None and find(reader, anchor) is not None else None


def _last_of_before(reader: Reader, name: str) -> Identity | None:
    """Return the last champion of a registry that only an earlier Ratchet has written, as its versions tell it."""
    moves = [
        (event.get("at_utc", ""), version.version, version.identity)
        for version in reader.versions(name)
        if LEDGER not in version.tags
        for event in version.moves.values()
    ]
    return max(moves, key=lambda move: move[:2])[2] if moves else None
