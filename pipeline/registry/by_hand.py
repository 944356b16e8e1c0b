"""What people do with the registry: list, show, promote against the gate, roll back. Changes record who and why.

Reading does not import MLflow, if the store allows it; changes hold the store's lock.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.records.identity import Identity
from pipeline.records.model_card import ModelCard
from pipeline.registry import versions
from pipeline.registry.actor import Actor
from pipeline.registry.anchor import ANCHORED, PROMOTED
from pipeline.registry.challenge import in_force, last_champion
from pipeline.registry.commands import promote_command
from pipeline.registry.fetch import fetch, fetch_card
from pipeline.registry.moving import move_alias, settle, write_tags
from pipeline.registry.places import writing
from pipeline.registry.reader import Reader, champion_of, open_reader, version_named
from pipeline.registry.store import LOCK_TIMEOUT_S, Store
from pipeline.registry.versions import Version


def list_versions(store: Store, name: str | None = None) -> list[Version]:
    """Return the versions of one model, or of all, by name and number; an unknown name has none."""
    reader = open_reader(store)
    return [version for known in ([name] if name else reader.names()) for version in reader.versions(known)]


def show(store: Store, name: str, which: str) -> Version:
    """Return one version by number (`3`, `v3`) or alias (`champion`); raise UsageError if there is none."""
    return version_named(open_reader(store), name, which)


def card(store: Store, name: str, which: str) -> ModelCard:
    """Return the model card of a version; raise UsageError if there is no such version, or it has none."""
    reader = open_reader(store)
    version = version_named(reader, name, which)
    found = fetch_card(store, reader, version)
    if found is None:
        raise UsageError(f"{name} v{version.version} has no model card: an earlier Ratchet has registered it")
    return found


def named(store: Store, which: str, name: str, where: str = "") -> Version:
    """Return the version that `NAME@VERSION` names: NAME is `name`, and VERSION the champion, where they are not said.

    Raises UsageError, led by `where`, if there is none.
    """
    own, separator, number = which.partition("@")
    if separator and not number:
        own = own or name
        raise UsageError(f"{where}{which}: expected NAME or NAME@VERSION, like {own}@3 or {own}@{versions.CHAMPION}")
    return show(store, own or name, number or versions.CHAMPION)


def promote(
    store: Store,
    name: str,
    which: str,
    reason: str,
    *,
    is_anchor: bool = False,
    actor: Actor | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> str:
    """Make a version champion by hand, whatever the gate's verdict; return what happened, in a sentence.

    The anchor stays the one in force, unless `is_anchor`: then it is this version, which may be the champion already.
    Its history records who, when and why. Raises UsageError without a reason, or if nobody knows the anchor in force;
    DataError if its bytes are damaged.
    """
    reason, actor = _checked(reason), actor or Actor.here()
    with writing(store, lock_timeout_s):
        reader = open_reader(store)
        version, champion = version_named(reader, name, which), champion_of(reader, name)
        named = f"{name} v{version.version}"
        is_champion = version.is_champion and in_force(reader, name, champion).problem is None
        if is_champion and not is_anchor:
            raise UsageError(f"{named} is the champion already")
        _verify(store, reader, version)
        anchor = version.identity if is_anchor else _anchor_in_force(reader, version, champion)
        kept = versions.identity_tag(anchor)
        held = "it is the anchor" if anchor == version.identity else f"the anchor stays v{anchor.version}"
        before = versions.identity_tag(_before(reader, version, champion))
        if is_champion:
            event = actor.event(ANCHORED, reason, before, anchor=kept)
            tags = {versions.ANCHOR: kept, versions.HISTORY: versions.history_tag(version.history, event)}
            _tag(store, reader, version, tags)
            return f"{named} is champion as before; {held}"
        _move(
            store,
            reader,
            version,
            champion,
            {versions.REPLACED: before, versions.ANCHOR: kept},
            actor.event(PROMOTED, reason, before, anchor=kept),
        )
    place = f", in place of v{champion.version}" if champion and champion.version != version.version else ""
    return f"{named} is champion{place}; {held}"


def _anchor_in_force(reader: Reader, version: Version, champion: Version | None) -> Identity:
    """Return the anchor that stays when a version is promoted by hand: of a first champion, itself."""
    met = in_force(reader, version.name, champion)
    if met.anchor is None and met.champion is not None:
        raise UsageError(
            f"{version.name}: no anchor is known that could stay in force"
            f"{f' ({met.problem})' if met.problem else ''}; with --anchor, v{version.version} becomes the anchor"
        )
    return met.anchor or version.identity


def _before(reader: Reader, version: Version, champion: Version | None) -> Identity | None:
    """Return whom a version replaces: the version with the alias, or else the last champion, or whom it had replaced.

    None if nothing says any more who that was.
    """
    last = champion.identity if champion else last_champion(reader, version.name)
    if last == version.identity and champion is not None:
        last = last_champion(reader, version.name)
    return version.replaced if last == version.identity else last


def rollback(
    store: Store,
    name: str,
    reason: str,
    to: str | None = None,
    *,
    actor: Actor | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> str:
    """Return the alias to the previous champion, or to the earlier champion `to`; return what happened, in a sentence.

    The version rolled back is marked: `register` does not promote it again automatically. Raises UsageError without a
    reason, a champion or an earlier champion; DataError if the earlier one's bytes are damaged.
    """
    reason, actor = _checked(reason), actor or Actor.here()
    with writing(store, lock_timeout_s):
        reader = open_reader(store)
        champion = champion_of(reader, name)
        if champion is None:
            last = last_champion(reader, name)
            way = f"{promote_command(last.version)} names the last one again" if last else "see `ratchet registry list`"
            raise UsageError(f"model registry: {name} has no champion to roll back; {way}")
        target = version_named(reader, name, to) if to else _champion_before(reader, champion)
        if target.is_champion:
            raise UsageError(f"{name} v{target.version} is the champion; name another version")
        if versions.REPLACED not in target.tags:
            raise UsageError(
                f"{name} v{target.version} was never champion, so it cannot be restored; "
                "`ratchet registry promote` makes it champion against the gate"
            )
        _verify(store, reader, target)
        _mark(store, reader, champion, target, reason, actor)
        # A restored version keeps the tags of its time: of the champion it once replaced, and of the anchor. One that
        # an earlier Ratchet has made champion has none of an anchor: it is the anchor.
        kept = target.tags.get(versions.ANCHOR, versions.identity_tag(target.identity))
        before = versions.identity_tag(champion.identity)
        event = actor.event("restored", reason, before, anchor=kept)
        _move(store, reader, target, champion, {versions.ANCHOR: kept}, event)
    return f"{name} v{target.version} is champion again; v{champion.version} is rolled back"


def _mark(store: Store, reader: Reader, version: Version, target: Version, reason: str, actor: Actor) -> None:
    """Tag the version as rolled back. This comes first, so that a kill cannot leave a rollback unmarked."""
    event = actor.event("rolled back", reason, versions.identity_tag(version.identity))
    mark = {"by": actor.by, "at_utc": actor.at_utc, "reason": reason, "restored": target.version}
    tags = {
        versions.ROLLED_BACK: json.dumps(mark, ensure_ascii=False),
        versions.HISTORY: versions.history_tag(version.history, event),
    }
    _tag(store, reader, version, tags)


def _tag(store: Store, reader: Reader, version: Version, tags: dict[str, str]) -> None:
    """Write tags of the champion."""
    from pipeline.registry import tracking

    client = tracking.open_client(store)
    with tracking.failures_named(store):
        write_tags(client, version, tags)
        settle(client, reader, reader.version(version.name, version.version) or version)


def _move(
    store: Store,
    reader: Reader,
    version: Version,
    champion: Version | None,
    tags: dict[str, str],
    event: dict[str, str],
) -> None:
    from pipeline.registry import tracking

    client = tracking.open_client(store)
    with tracking.failures_named(store):
        if champion is not None:
            settle(client, reader, champion)
        move_alias(client, reader, version, champion, tags, event)
        if version.is_rolled_back:
            client.delete_model_version_tag(version.name, str(version.version), versions.ROLLED_BACK)


def _verify(store: Store, reader: Reader, version: Version) -> None:
    """Raise DataError unless the version's bytes exist and have its digest."""
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        fetch(store, reader, version, Path(folder))


def _champion_before(reader: Reader, champion: Version) -> Version:
    """Follow the replaced champions back to the nearest one that still exists and was not rolled back itself."""
    seen, earlier = {champion.version}, champion.replaced
    while earlier is not None and earlier.version not in seen:
        seen.add(earlier.version)
        version = reader.version(earlier.name, earlier.version)
        if version is None:
            break
        if version.digest == earlier.digest and not version.is_rolled_back:
            return version
        earlier = version.replaced
    raise UsageError(
        f"{champion.name} v{champion.version} has no champion before it that could be restored; "
        "name one with --to, see `ratchet registry list`"
    )


def _checked(reason: str) -> str:
    line = " ".join(reason.split())
    if not line:
        raise UsageError('a reason is needed: it is kept in the history of the version; --reason "…"')
    return line
