"""The models that a candidate is compared with, brought into the graph as files.

`models/champion/` and `models/anchor/` are functions of the registry's content and the candidate: `champion.json` and
`anchor.json`, and beside each the two files of its model, if there is one; an anchor that is the champion's model is
there once, as the champion. Beside the champion stands the list of the test rows that it was judged by, if its version
has one. Which ones these are: `challenge`.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.champion import ANCHOR_FILE, CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.registry.challenge import Challenge
from pipeline.registry.commands import promote_command
from pipeline.registry.fetch import fetch, fetch_judged_by
from pipeline.registry.reader import Reader
from pipeline.registry.store import Store
from pipeline.storage.record_files import write_record


def write_champion(folder: Path, store: Store, reader: Reader, challenge: Challenge) -> Champion:
    """Write the champion's files, if they can still be fetched, and `champion.json` into an empty folder.

    A champion that is gone, damaged or not Ratchet's is no error here: it is a fact for the gate, which refuses.
    """
    champion = challenge.champion
    problem = challenge.problem or (_fetched(folder, store, reader, champion) if champion else None)
    version = reader.version(champion.name, champion.version) if champion and problem is None else None
    if version is not None:
        fetch_judged_by(store, reader, version, folder)
    computed_on = version.computed_on if version else ()
    written = Champion(identity=champion, registry=store.label, problem=problem, computed_on=computed_on)
    write_record(folder / CHAMPION_FILE, written)
    return written


def write_anchor(folder: Path, store: Store, reader: Reader, challenge: Challenge) -> Champion:
    """Write `anchor.json` into an empty folder, and the anchor's files if it is another model than the champion.

    An anchor that cannot be had is a fact for the gate, as a champion is.
    """
    champion, anchor = challenge.champion, challenge.anchor
    problem = challenge.problem
    if problem is None and champion is not None and anchor is None:
        problem = f"with {champion.name} v{champion.version}, its anchor is gone"
    elif problem is None and champion is not None and anchor is not None and anchor.digest != champion.digest:
        problem = _fetched(folder, store, reader, anchor)
        if problem:
            problem += f"; {promote_command(champion.version, is_anchor=True)} makes the champion the anchor"
    written = Champion(identity=anchor, registry=store.label, problem=problem)
    write_record(folder / ANCHOR_FILE, written)
    return written


def _fetched(folder: Path, store: Store, reader: Reader, identity: Identity) -> str | None:
    """Fetch the files of a version that has this identity; return why that is not possible, and leave none then."""
    try:
        _fetch_same(folder, store, reader, identity)
    except DataError as error:
        for name in MODEL_FILES:
            (folder / name).unlink(missing_ok=True)
        return str(error)
    return None


def _fetch_same(folder: Path, store: Store, reader: Reader, identity: Identity) -> None:
    version = reader.version(identity.name, identity.version)
    if version is None:
        raise DataError(f"{identity.name} v{identity.version} is no longer in the registry")
    if version.digest != identity.digest:
        raise DataError(f"{identity.name} v{identity.version} is now another model than the one compared with")
    fetch(store, reader, version, folder)
