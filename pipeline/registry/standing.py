"""Whether a verdict still stands in the registry: stages `champion` and `register` would change nothing."""

from __future__ import annotations

from pipeline.errors import TryAgain
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.verdict import Verdict
from pipeline.registry.decision import champion_to_challenge, decide
from pipeline.registry.places import local_folder
from pipeline.registry.reader import Reader, champion_of, open_reader, with_digest
from pipeline.registry.store import Store
from pipeline.registry.versions import Version


def stands(store: Store, name: str, verdict: Verdict) -> bool:
    """Return whether a run with this verdict would find the registry as it has left it, bytes included.

    A candidate would be compared with the same champion; there is no version to make and no alias to move; and the
    files of that champion and of the candidate's own version are there, as far as this machine has them (their digests
    are checked by whoever uses them). Raises StorageError if the registry cannot be read.
    """
    reader = open_reader(store)
    if champion_to_challenge(reader, name, verdict.candidate) != verdict.champion:
        return False
    champion, own = champion_of(reader, name), with_digest(reader, name, verdict.candidate)
    try:
        action = decide(verdict, own, champion)
    except TryAgain:
        return False
    if action.makes_version or action.moves_alias:
        return False
    if champion is not None and champion.digest == verdict.candidate:
        own = champion
    met = verdict.champion
    compared = reader.version(met.name, met.version) if met else None
    if met and (compared is None or compared.identity != met):
        return False
    return all(has_files(reader, version) for version in (own, compared) if version is not None)


def has_files(reader: Reader, version: Version) -> bool:
    """Return whether the files of a version are there, as far as this machine has them."""
    folder = local_folder(reader.location(version))
    return folder is None or all((folder / name).is_file() for name in MODEL_FILES)
