"""The champion that a candidate is compared with, brought into the graph as files.

`models/champion/` is a function of the registry's content and the candidate: `champion.json`, and the two files of the
champion's model if there is one. Which one that is: `decision.champion_to_challenge`.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.registry.fetch import fetch
from pipeline.registry.reader import Reader
from pipeline.registry.store import Store
from pipeline.registry.versions import Version
from pipeline.storage.record_files import write_record


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
            for name in MODEL_FILES:
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
