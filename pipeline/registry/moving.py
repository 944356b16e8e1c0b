"""Moves the alias `champion` from the version that a decision was made against, on a registry that others write too.

MLflow sets an alias whatever it pointed to. Processes of this machine take turns (`store.locked`); between machines
this compares and swaps as far as tags allow:

1. The champion must still be the one decided against, or else TryAgain.
2. The move is written into the version's history, with how many moves have been `seen` so far: a claim.
3. Champion and claims are read again: if the champion has moved, or a stronger claim was made since, the own one is
   withdrawn, and TryAgain: the candidate will be judged against the new champion.
4. The alias is moved.
5. Both are read once more: if a stronger claim was made in between, the alias goes to that version, and the own claim
   is withdrawn, as in 3. If a weaker one has moved the alias meanwhile, it is moved back.
6. Tags of the registered model say that there was this champion, and with which anchor: see `challenge`.

The claim that has seen more is the stronger (who has seen another's claim before it began does not look for it again),
then a person's, then that of the version that was registered first. So at most one who took part is told
that it is done, and then the alias is on its version; everybody else was told to try again. What is not guaranteed:
two can give way to each other (one finds the champion moved in 3, the other a stronger claim in 5); then both are told
to try again, and until the next run the alias is on one of two versions that passed the gate. In the moment between 4
and 5 the alias may be on the weaker version, which passed the gate as well; if the process is killed in that moment, it
stays there, and as that is not the last champion, a person is asked. And another tool that sets the alias leaves no
claim: what it does between 3 and 4 is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pipeline.errors import TryAgain
from pipeline.registry import versions
from pipeline.registry.challenge import in_force
from pipeline.registry.reader import Reader, champion_of
from pipeline.registry.versions import ANCHOR, CHAMPION, HISTORY, LAST_ANCHOR, LAST_CHAMPION, Version

_BY_HAND = ("promoted by hand", "restored")
_TRIES = 5


@dataclass(frozen=True)
class _Claim:
    version: int
    place: int  # in the history of its version
    event: str
    seen: int

    @property
    def strength(self) -> tuple[int, bool, int]:
        return self.seen, self.event in _BY_HAND, -self.version


def move_alias(
    client: Any,
    reader: Reader,
    version: Version,
    expected: Version | None,
    tags: Mapping[str, str],
    event: Mapping[str, str],
) -> None:
    """Write a version's tags and the event, then point the alias `champion` to it; see above for what is guaranteed.

    In this order, a kill between the two leaves a version whose tags claim too much, never an unexplained champion.
    `tags` has the anchor in force while the version is champion, or else the version has it.
    Raises TryAgain if the champion is not, or no longer, the `expected` one.
    """
    known = _claims(reader, version.name)
    now = champion_of(reader, version.name)
    if _number(now) != _number(expected):
        raise TryAgain(f"model registry: {_in_words(expected)} when this was decided, but by now {_in_words(now)}")
    claim = {**event, "seen": str(len(known))}
    write_tags(client, version, {**tags, HISTORY: versions.history_tag(version.history, claim)})
    own = _Claim(version.version, len(version.history), str(event["event"]), len(known))
    stronger = _stronger(reader, version.name, known, own)
    now = champion_of(reader, version.name)
    if stronger is not None or _number(now) not in (_number(expected), version.version):
        _withdraw(client, reader, version, tags, event, stronger.version if stronger else _number(now))
    for _ in range(_TRIES):
        client.set_registered_model_alias(version.name, CHAMPION, str(version.version))
        stronger = _stronger(reader, version.name, known, own)
        if stronger is not None:
            client.set_registered_model_alias(version.name, CHAMPION, str(stronger.version))
            _withdraw(client, reader, version, tags, event, stronger.version)
        if _number(champion_of(reader, version.name)) == version.version:
            _remember(client, version, tags.get(ANCHOR, version.tags.get(ANCHOR)))
            return
    raise TryAgain(f"model registry: {version.name}: another machine moves the alias again and again; run again")


def settle(client: Any, reader: Reader, champion: Version) -> None:
    """Write what an earlier Ratchet, or a killed process, has not written of a champion; see `challenge`.

    Nothing is written about a champion that another tool has made.
    """
    tags, own = reader.model_tags(champion.name), versions.identity_tag(champion.identity)
    anchor = champion.tags.get(ANCHOR, own)
    if (tags.get(LAST_CHAMPION), tags.get(LAST_ANCHOR)) == (own, anchor):
        return
    if in_force(reader, champion.name, champion).problem is None:
        if ANCHOR not in champion.tags:
            write_tags(client, champion, {ANCHOR: own})
        _remember(client, champion, anchor)


def _remember(client: Any, champion: Version, anchor: str | None) -> None:
    own = versions.identity_tag(champion.identity)
    client.set_registered_model_tag(champion.name, LAST_ANCHOR, anchor or own)
    client.set_registered_model_tag(champion.name, LAST_CHAMPION, own)


def _claims(reader: Reader, name: str) -> set[_Claim]:
    found = set()
    for version in reader.versions(name):
        for place, event in version.moves.items():
            seen = event.get("seen", "")
            found.add(_Claim(version.version, place, event["event"], int(seen) if seen.isdecimal() else 0))
    return found


def _stronger(reader: Reader, name: str, known: set[_Claim], own: _Claim) -> _Claim | None:
    """Return the strongest claim that was made since the known ones, if it is stronger than the own one."""
    rivals = {claim for claim in _claims(reader, name) - known if claim.version != own.version}
    strongest = max((own, *rivals), key=lambda claim: claim.strength)
    return None if strongest == own else strongest


def write_tags(client: Any, version: Version, tags: Mapping[str, str]) -> None:
    """Write tags of a version, one after the other."""
    for key, text in tags.items():
        client.set_model_version_tag(version.name, str(version.version), key, text)


def _withdraw(
    client: Any,
    reader: Reader,
    version: Version,
    tags: Mapping[str, str],
    event: Mapping[str, str],
    winner: int | None,
) -> NoReturn:
    """Take a claim back: the tags are as before it, and the history says so."""
    first = f"v{winner}" if winner is not None else "nobody"
    now = reader.version(version.name, version.version) or version
    withdrawn = {**event, "event": versions.WITHDRAWN, "reason": f"{first} became champion at the same time"}
    write_tags(client, version, {HISTORY: versions.history_tag(now.history, withdrawn)})
    for key in tags:
        if key in version.tags:
            client.set_model_version_tag(version.name, str(version.version), key, version.tags[key])
        else:
            client.delete_model_version_tag(version.name, str(version.version), key)
    raise TryAgain(
        f"model registry: {version.name} v{version.version} is not champion: {first} became champion at the same time, "
        "from another machine; run again"
    )


def _number(version: Version | None) -> int | None:
    return version.version if version else None


def _in_words(champion: Version | None) -> str:
    return f"the champion is v{champion.version}" if champion else "there is no champion"
