"""Where drafts are made and where they go: whole or not at all, and never over what is there."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from pipeline.data.frozen_split import FOLDER
from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.recipe.configs import CONFIGS, models
from pipeline.storage.artifacts import fsync_folder, published_folder

CONTRACTS = "data_contracts"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WORK = Path(".ratchet") / "init"


@dataclass(frozen=True)
class Places:
    """The files of a draft, relative to the project."""

    name: str

    @property
    def config(self) -> Path:
        """The config."""
        return Path(CONFIGS) / f"{self.name}.yaml"

    @property
    def contracts(self) -> Path:
        """The folder of the contracts."""
        return Path(CONTRACTS) / self.name

    @property
    def split(self) -> Path:
        """The frozen split, if it has one."""
        return Path(FOLDER) / f"{self.name}.yaml"

    def require_free(self, root: Path) -> None:
        """Raise UsageError if something is there already, or a config publishes under this name.

        Raises StorageError if nothing can be written there.
        """
        for place in (self.config, self.contracts, self.split):
            if os.path.lexists(root / place):
                raise UsageError(f"{place}: is there already, and nothing is overwritten; give another --name")
        taken = [file for file, model in models(root).items() if model == self.name]
        if taken:
            raise UsageError(f"--name: {taken[0]} publishes under the name '{self.name}' already; give another --name")
        for place in (self.config, self.contracts):
            folder = (root / place).parent
            if not os.access(folder if folder.is_dir() else root, os.W_OK, effective_ids=True):
                raise StorageError(f"{folder}: not writable; work in a project of your own")


def places_of(path: Path, name: str | None) -> Places:
    """Return the places of a draft of that name, or of one made of the path's; raise UsageError if it is no name."""
    if name is None:
        plain = re.sub(r"[\u0300-\u036f]", "", normalize("NFKD", path.absolute().name.split(".")[0]))  # ä becomes a
        words = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
        name = (words if words[:1].isalpha() else f"data_{words}".rstrip("_"))[:63]
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name: '{name:.80}' is no name: small letters, digits and _, a letter first, at most 63")
    return Places(name)


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """Yield an empty folder to work in, and remove it. What a killed process left there is removed first.

    Raises TryAgain if another process works there.
    """
    folder = root / _WORK
    try:
        folder.parent.mkdir(exist_ok=True)
        opened = folder.with_suffix(".lock").open("wb")
    except OSError as error:
        raise StorageError(
            f"{folder.parent}: cannot be written: {error.strerror}; work in a project of your own"
        ) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TryAgain("another `ratchet init` works in this project; run again when it has ended") from error
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(
    root: Path, places: Places, config: bytes, contracts: Mapping[str, bytes], split: bytes | None = None
) -> list[Path]:
    """Write contracts, the frozen split if there is one, and the config; return the files, relative to the project.

    Raises UsageError if something has come to stand there, and leaves it as it is.
    """
    places.require_free(root)
    target = root / places.contracts
    with published_folder(target) as folder:
        for file, text in contracts.items():
            (folder / file).write_bytes(text)
    others = {places.split: split} if split is not None else {}
    written: list[Path] = []
    try:
        for place, content in {**others, places.config: config}.items():  # the config last
            (root / place).parent.mkdir(exist_ok=True)
            _write_new(root / place, content)
            written.append(root / place)
    except BaseException:
        shutil.rmtree(target)
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return [places.config, *(places.contracts / file for file in contracts), *others]


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all."""
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    if not path.parent.is_dir():
        raise StorageError(f"{path.parent}: is no folder; make it")
    try:
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(aside, path)  # unlike a rename, it refuses what is there
        fsync_folder(path.parent)
    except FileExistsError as error:
        raise UsageError(f"{path.name}: is there already, and nothing is overwritten; give another --name") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):  # the first error is the one to report
            aside.unlink()
