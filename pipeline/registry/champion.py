"""The champion that a candidate is compared with, brought into the graph as files.

`models/champion/` is a function of the registry's content and the candidate: `champion.json`, and the two files of the
champion's model if there is one. A model does not challenge itself: if the candidate *is* the registry's champion, it
is compared with the champion that it replaced, so that a second run with nothing changed finds nothing changed.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.registry.fetch import FILES, fetch
from pipeline.registry.reader import Reader, champion_of
from pipeline.registry.store import Store
from pipeline.registry.versions import Version
from pipeline.storage.record_files import write_record


def champion_to_challenge(reader: Reader, name: str, candidate: str) -> Identity | None:
    """Return the version that a candidate with this digest is compared with; None if it is the first model."""
    champion = champion_of(reader, name)
    if champion is None:
        return None
    return champion.replaced if champion.digest == candidate else champion.identity


def write_champion(folder: Path, store: Store, reader: Reader, champion: Identity | None) -> Champion:
    """Write the champion's files, if they can still be fetched, and `champion.json` into an empty folder.

    A champion that is gone, damaged or not Ratchet's is no error here: it is a fact for the gate, which refuses.
    """
    problem = None
    if champion is not None:
        version = reader.version(champion.name, champion.version)
        try:
            _fetch_same(store, reader, version, champion, folder)
        except DataError as error:
            problem = str(error)
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
    written = Champion(identity=champion, registry=store.label, problem=problem)
    write_record(folder / CHAMPION_FILE, written)
    return written


def _fetch_same(store: Store, reader: Reader, version: Version | None, champion: Identity, folder: Path) -> None:
    if version is None:
        raise DataError(f"{champion.name} v{champion.version} is no longer in the registry")
    if version.digest != champion.digest:
        raise DataError(f"{champion.name} v{champion.version} is now another model than the one compared with")
    fetch(store, reader, version, folder)
