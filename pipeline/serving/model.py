"""A served folder, loaded and proven: every file has its digest, and the golden rows get their answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.errors import DataError, RatchetError, TryAgain, shortened
from pipeline.export.parity import compare
from pipeline.export.served import golden_rows, read_served
from pipeline.records.served_model import ServedModel
from pipeline.serving.engine import AUTO, Answers, Engine, open_engine
from pipeline.storage.shards import Columns

TOLERANCE = 1e-4  # of a form that is held to none of its own: relative above 1
_MEMORY = Path("/proc/meminfo")
_TIMES_ITS_FILES = 3  # what a model takes while it is loaded, measured on small ones


@dataclass(frozen=True)
class LoadedModel:
    """One version of one model that answers."""

    served: ServedModel
    engine: Engine
    engine_name: str
    folder: Path
    loaded_at_s: float = field(default_factory=time.time)  # since the epoch

    @property
    def answer_width(self) -> int:
        """How many numbers it answers a row with."""
        return len(self.served.classes) or 1

    @property
    def version(self) -> str:
        """The version as protocols show it: the registry's number, `0` of no registry."""
        return str(self.served.version or 0)

    def answer(self, columns: Columns) -> Answers:
        """Return the answers `[row, number] float32`; raises RuntimeError for answers of another shape."""
        rows = len(next(iter(columns.values())))
        answers = np.asarray(self.engine.answer(columns), np.float32)
        if answers.shape != (rows, self.answer_width):
            raise RuntimeError(f"the model gave answers {answers.shape} for {rows} rows")
        return answers


Opening = Callable[[Path, ServedModel, str], tuple[str, Engine]]


def load(folder: Path, engine: str = AUTO, *, opening: Opening = open_engine) -> LoadedModel:
    """Return the model of a served folder, once its golden rows are answered as they should be.

    Raises DataError if a file or an answer is another one than it was, TryAgain if it needs more memory than there is,
    StorageError if the folder cannot be read.
    """
    served = read_served(folder)
    _has_room(served)
    try:
        name, opened = opening(folder, served, engine)
    except RatchetError:
        raise
    except MemoryError as error:
        raise TryAgain(f"{_named(served)} needs more memory to be loaded than there is") from error
    except Exception as error:  # a library raises anything for a model that it cannot load
        raise DataError(f"{_named(served)} cannot be loaded: {type(error).__name__}: {error}") from error
    model = LoadedModel(served, opened, name, folder)
    prove(model)
    return model


def prove(model: LoadedModel) -> None:
    """Raise DataError unless a model answers its golden rows as they were answered when it was exported.

    Raises TryAgain if that needs more memory than there is.
    """
    served = model.served
    columns, expected = golden_rows(model.folder)
    try:
        found = model.answer(columns)
    except MemoryError as error:
        raise TryAgain(f"{_named(served)} needs more memory to answer its golden rows than there is") from error
    except Exception as error:  # as in `load`
        raise DataError(
            f"{_named(served)} does not answer its golden rows: {type(error).__name__}: {error}; export it again"
        ) from error
    form = served.format(model.engine_name)
    tolerance = form.tolerance if form and form.tolerance is not None else TOLERANCE
    parity = compare(found, expected, has_classes=bool(served.classes), threshold=served.threshold)
    least = form.least_agreement if form and form.least_agreement is not None else None
    if least is not None and form is not None and form.tolerance is None:
        if (parity.agreement or 0.0) < least:
            raise DataError(
                f"{_named(served)} fails its golden rows: {parity.agreement} of the classes agree, {least} must"
            )
    elif not parity.largest_difference <= tolerance:
        raise DataError(
            f"{_named(served)} fails its golden rows: answers differ by {parity.largest_difference:.3g}, "
            f"at most {tolerance:g} is allowed; export it again"
        )


def why_not_taken(error: Exception, *folders: Path) -> str:
    """Return why a model could not be loaded, in one line without these folders' paths."""
    why = str(error) if isinstance(error, RatchetError) else type(error).__name__
    for folder in folders:
        why = why.replace(f"{folder}/", "")
    return shortened(why)


def _named(served: ServedModel) -> str:
    return f"{served.name} v{served.version}" if served.version is not None else served.name


def _has_room(served: ServedModel) -> None:
    """Raise TryAgain if a model's files say that it needs more memory than is free."""
    needed = _TIMES_ITS_FILES * max((form.size_bytes for form in served.formats), default=0)
    if (free := free_memory_bytes()) is not None and needed > free:
        raise TryAgain(
            f"{_named(served)} needs some {needed // 2**20} MiB of memory to be loaded, {free // 2**20} MiB are free"
        )


def free_memory_bytes(meminfo: Path = _MEMORY, cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how much memory this process could still take; None where that cannot be told (proc_meminfo(5))."""
    found = []
    try:
        lines = meminfo.read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        if limit != "max":
            found.append(max(0, int(limit) - int((cgroup / "memory.current").read_text())))
    except (OSError, ValueError):
        pass
    return min(found, default=None)
