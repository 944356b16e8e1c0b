"""Brings a source's folder up to date with `data.address`, the prefix of an object store that it is a mirror of.

The folder `data.path` then holds what the address holds, file by file, and everything else works on the folder: a run
photographs it, stages read it. Only what is new there, or has changed by its size and its entity tag, is fetched. A
file that did not come from the address is never touched: the run is refused instead.

What came from where stands in `.ratchet/mirrors/`. A file is entered there before it is written, and each is fetched
aside, and renamed: so a mirror that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain, UsageError, as_full_disk, without_secrets
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.recipe import ADDRESS, PARAMS_FILE
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.runs.locks import mirror_lock
from pipeline.runtime.progress import Throttle, count
from pipeline.storage.artifacts import fsync_folder, read_json, write_json

_FOLDER = Path(".ratchet") / "mirrors"
_MOST_FILES = 5_000_000
_LONGEST_NAME, _LONGEST_PATH = 255, 2000  # bytes, on Linux; of a path below the folder
_AT_ONCE = 8  # files that are fetched side by side: they wait more than they work
_LIST_LIMIT_BYTES = 2**31
_QUIET_S = 2.0

Found = Mapping[str, list[Any]]  # by path below the address: size in bytes, and the tag of the content


@dataclass(frozen=True)
class Mirrored:
    """What a folder holds of its address now, and how much of that was fetched or removed just now."""

    files: int
    bytes: int
    fetched: int
    removed: int

    def __str__(self) -> str:
        """Return it in words."""
        news = [f"{count(n)} {what}" for n, what in ((self.fetched, "fetched"), (self.removed, "removed")) if n]
        return f"{count(self.files)} files, {self.bytes / 1e6:.1f} MB: {' and '.join(news) or 'nothing has changed'}"


def bring(root: Path, config: str | None, overrides: Mapping[str, Any]) -> Mirrored | None:
    """Bring the source of a recipe up to date, if it has an address; return what was done.

    `config` and `overrides` are laid over `params.yaml`. Raises UsageError for an address or a folder that cannot be
    one, StorageError if the address cannot be read, TryAgain if it changes meanwhile.
    """
    if config is None and not any(key.startswith("data") for key in overrides):
        data = parse_yaml(root / PARAMS_FILE).get("data")  # of most recipes no more has to be known
    else:
        data = recipe_layers(root, config).overridden(overrides, "--set").values.get("data")
    if not isinstance(data, Mapping) or data.get("address") is None:
        return None
    return bring_from(root, str(data["address"]), str(data.get("path", "")))


def bring_from(root: Path, address: str, path: str) -> Mirrored:
    """Make the folder `path` hold what an address holds, as nobody else does; raises as `bring` does."""
    if not re.fullmatch(ADDRESS, address):
        raise UsageError(f"data.address: {without_secrets(address)!r:.200} is none; it is s3://BUCKET/… or file:///…")
    inside = os.path.normpath(path)
    if not path or Path(path).is_absolute() or PurePosixPath(inside).parts[:1] in ((os.pardir,), (os.curdir,), ()):
        raise UsageError(
            f"data.path: {path}: with data.address it is the folder that is filled: one inside the project"
        )
    if not address.startswith("file:"):  # a store may take long to answer, or never do
        print(f"source: looking at {address}", file=sys.stderr, flush=True)  # noqa: T201
    with mirror_lock(root):
        return mirror(root, address, inside)


def bring_and_say(
    root: Path, config: str | None, overrides: Mapping[str, Any], to: TextIO | None = None
) -> Mirrored | None:
    """Bring the source of a recipe up to date, and print what was done if that was anything."""
    done = bring(root, config, overrides)
    if done and (done.fetched or done.removed):
        print(f"source: {done}", file=to, flush=True)
    return done


def mirror(root: Path, address: str, path: str) -> Mirrored:
    """Make the folder `path` hold what the address holds; raises as `bring` does."""
    journal = root / _FOLDER / f"{hashlib.sha256(path.encode()).hexdigest()[:16]}.json"
    folder, aside = root / path, journal.with_suffix(".incoming")
    shutil.rmtree(aside, ignore_errors=True)
    store, base = _store(address)
    wanted = _listed(store, base, address)
    before = _journal(journal, address, path)
    _require_own(folder, path, before, address)
    stale = {name for name, entry in wanted.items() if not _is_there(folder / name, entry, before.get(name))}
    gone = sorted(before.keys() - wanted.keys())
    if stale or gone:
        known = {name: [*entry, None] if name in stale else before[name] for name, entry in wanted.items()}
        write_json(journal, {"address": address, "files": {**{name: before[name] for name in gone}, **known}})
        for name in gone:
            _remove(folder, name)
        _fetch(store, base, folder, aside, {name: wanted[name] for name in sorted(stale)}, address)
        if _listed(store, base, address) != wanted:
            raise TryAgain(f"{address}: has changed while it was read; run again")
        times = {name: [*wanted[name], (folder / name).stat().st_mtime_ns] for name in stale}
        write_json(journal, {"address": address, "files": {**known, **times}})
    size_bytes = sum(int(entry[0]) for entry in wanted.values())
    return Mirrored(len(wanted), size_bytes, len(stale), len(gone))


def _store(address: str) -> tuple[Any, str]:
    """Return the store of an address, and its prefix there."""
    import fsspec

    with _asking(address):
        # Listings are asked for anew: another process may have written meanwhile.
        store, base = fsspec.url_to_fs(address, use_listings_cache=False, skip_instance_cache=True)
    return store, base.rstrip("/")


@contextmanager
def _asking(address: str) -> Iterator[None]:
    """Turn what goes wrong when a store is asked for something into one line; not that this disk is full."""
    try:
        yield
    except RatchetError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"data.address: {address} holds nothing; name the folder or prefix of the source") from error
    except PermissionError as error:
        raise StorageError(
            f"data.address: {address}: access denied; give the credentials in the environment (AWS_ACCESS_KEY_ID, …)"
        ) from error
    except Exception as error:  # of a store's own library, of whatever kind
        if full := as_full_disk(error):
            raise full from error
        said = " ".join(without_secrets(str(error)).split())
        raise StorageError(f"data.address: {address}: cannot be read: {type(error).__name__}: {said:.300}") from error


def _listed(store: Any, base: str, address: str) -> dict[str, list[Any]]:
    """Return the files below an address; raise DataError for a name that is no path below a folder."""
    wanted: dict[str, list[Any]] = {}
    with _asking(address):
        found = store.find(base, detail=True)
    for full, entry in found.items():
        name = full[len(base) :].removeprefix("/")
        if entry.get("type") != "file" or full.endswith("/"):
            continue  # a folder's own mark in an object store
        _require_path(name, address)
        wanted[name] = [int(entry["size"]), str(entry.get("ETag") or entry.get("mtime"))]
        if len(wanted) > _MOST_FILES:
            raise DataError(f"data.address: {address} holds more than {_MOST_FILES} files; name a narrower prefix")
    if not wanted:
        raise StorageError(f"data.address: {address} holds nothing; name the folder or prefix of the source")
    for name in wanted:
        for above in PurePosixPath(name).parents:
            if str(above) in wanted:
                raise DataError(
                    f"data.address: {address} holds {str(above)!r:.200} and {name!r:.200}: no folder can hold both"
                )
    return wanted


def _require_path(name: str, address: str) -> None:
    parts = name.split("/")
    if (
        "\0" in name
        or any(part in ("", ".", "..") for part in parts)
        or len(os.fsencode(name)) > _LONGEST_PATH
        or max(len(os.fsencode(part)) for part in parts) > _LONGEST_NAME
    ):
        raise DataError(f"data.address: {address} holds {name!r:.200}, which is no name of a file; remove it there")


def _journal(path: Path, address: str, folder: str) -> dict[str, list[Any]]:
    """Return what came from an address before; nothing if nothing did."""
    if not path.exists():
        return {}
    content = read_json(path, limit_bytes=_LIST_LIMIT_BYTES)
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise DataError(f"{path}: not what is written there; remove it, and the folder {folder}")
    if content.get("address") != address:
        raise UsageError(
            f"data.address: {folder} is the mirror of {content.get('address')}; name another data.path for {address}"
        )
    return dict(content["files"])


def _require_own(folder: Path, path: str, before: Found, address: str) -> None:
    """Refuse a folder with anything in it that did not come from the address: it is somebody's."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise StorageError(
            f"data.path: {path} is no folder of its own, and {address} is to be brought there; remove it"
        )
    folders = {str(above) for name in before for above in PurePosixPath(name).parents}
    for above, within, names in os.walk(folder):
        for name in (*names, *within):
            child = os.path.relpath(os.path.join(above, name), folder)  # noqa: PTH118 - many
            if child not in before and not (child in folders and name in within):
                raise UsageError(
                    f"data.path: {path} holds {child!r:.200}, which did not come from {address}; move it away, or name "
                    "another folder: this one is made what the address holds"
                )


def _is_there(path: Path, entry: list[Any], before: list[Any] | None) -> bool:
    """Return whether a file is there as it was fetched, and that is what the address still holds."""
    if before is None or before[:2] != entry or before[2] is None:
        return False
    try:
        status = path.lstat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (entry[0], before[2])


def _fetch(store: Any, base: str, folder: Path, aside: Path, wanted: Found, address: str) -> None:
    """Fetch files aside and rename them into the folder, saying how far it is; their sizes must be as listed."""
    aside.mkdir(parents=True)
    throttle = Throttle(_QUIET_S)
    throttle.is_due()  # what takes less is not spoken of

    def one(numbered: tuple[int, str]) -> int:
        number, name = numbered
        own, target = aside / str(number), folder / name
        with _asking(address):
            try:
                store.get_file(f"{base}/{name}" if base else name, str(own))
            except FileNotFoundError as error:
                raise TryAgain(f"{address}: {name!r:.200} has gone while it was read; run again") from error
        size = own.stat().st_size
        if size != wanted[name][0]:
            raise TryAgain(f"{address}: {name!r:.200} has changed while it was read; run again")
        with own.open("rb") as stream:
            os.fsync(stream.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        own.replace(target)
        return size

    done = done_bytes = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for size in pool.map(one, enumerate(wanted)):
            done, done_bytes = done + 1, done_bytes + size
            if throttle.is_due():
                print(  # noqa: T201
                    f"fetch: {count(done)} of {count(len(wanted))} files  {done_bytes / 1e6:.1f} MB", flush=True
                )
    for above in {(folder / name).parent for name in wanted}:
        fsync_folder(above)
    shutil.rmtree(aside)


def _remove(folder: Path, name: str) -> None:
    """Remove a file, and the folders that are empty without it."""
    path = folder / name
    path.unlink(missing_ok=True)
    for above in path.parents:
        if above == folder or not above.is_dir() or any(above.iterdir()):
            break
        above.rmdir()
