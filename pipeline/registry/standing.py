"""Whether a verdict still stands in the registry: stages `champion` and `register` would change nothing."""

from __future__ import annotations

from pipeline.errors import DataError, TryAgain
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.registry import ledger
from pipeline.registry.challenge import challenge
from pipeline.registry.decision import decide
from pipeline.registry.places import local_folder
from pipeline.registry.reader import Reader, champion_of, find, open_reader, with_digest
from pipeline.registry.store import Store
from pipeline.registry.versions import Version


def stands(store: Store, name: str, verdict: Verdict, told: Registration) -> bool:
    """Return whether a run with this verdict would find the registry as it has left it, bytes included.

    `told` is what its registration said: after a rollback, or a promotion by hand, there may be nothing to do and yet
    something else to say.

    A candidate would be compared with the same champion and the same anchor; there is no line, no version and no alias
    to write; and the files of those two and of the candidate's own version are there, as far as this machine has them
    (their digests are checked by whoever uses them). Raises StorageError if the registry cannot be read.
    """
    reader = open_reader(store)
    champion = champion_of(reader, name)
    try:
        met = challenge(reader, name, champion, verdict.candidate)
        if (met.champion, met.anchor) != (verdict.champion, verdict.anchor):
            return False
        is_champion = champion is not None and champion.digest == verdict.candidate
        own = champion if is_champion else with_digest(reader, name, verdict.candidate)
        action = decide(verdict, own, champion, met)
        if own is None or action.makes_version or action.moves_alias:
            return False
        if told.sentence != action.sentence and not (is_champion and told.outcome == "promoted"):
            return False
        if action.is_recorded and not ledger.is_recorded(own, verdict, reader.model_tags(name)):
            return False
    except (TryAgain, DataError):
        return False
    wanted = {identity for identity in (verdict.champion, verdict.anchor) if identity}
    compared = [version for identity in wanted if (version := find(reader, identity)) is not None]
    if len(compared) < len(wanted):
        return False
    return all(has_files(reader, version) for version in (own, *compared))


def has_files(reader: Reader, version: Version) -> bool:
    """Return whether the files of a version are there, as far as this machine has them."""
    folder = local_folder(reader.location(version))
    return folder is None or all((folder / name).is_file() for name in MODEL_FILES)
