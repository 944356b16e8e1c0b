"""A model is taken only if this machine answers with it in time, and its form is no larger than it may be.

Several workers load one after the other, in turns: so each sees what memory the others have left, and no time is taken
while another loads. How long a model takes is measured by the first of them; its figure holds for all, and for those
that are started again while clients keep the machine busy, so no bound parts them.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import DataError
from pipeline.export.bounds import MachineBounds
from pipeline.export.served import golden_rows
from pipeline.export.trial import speed
from pipeline.records.digests import digest_json
from pipeline.serving.model import LoadedModel, load
from pipeline.storage.artifacts import write_file

_LOCK = "loading.lock"
Load = Callable[[Path, str], LoadedModel]


def within(bounds: MachineBounds, loading: Load = load, together: Path | None = None) -> Load:
    """Return what loads a model as `model.load` does, and raises DataError for one that is beyond a bound.

    The engine's own form is held to them: its files, and calls with one golden row, one after the other. `together` is
    a folder that several workers share; None: there is one process.
    """

    def load_within(folder: Path, engine: str) -> LoadedModel:
        with _turn(together):
            model = loading(folder, engine)
            if bounds.are_set:
                require_within(model, bounds, together)
        return model

    return load_within


def require_within(model: LoadedModel, bounds: MachineBounds, together: Path | None = None) -> None:
    """Raise DataError, in one line, for a model that is beyond a bound. `together` is as of `within`."""
    form = model.served.format(model.engine_name)
    p95_ms = _p95_ms(model, together) if bounds.p95_ms is not None else None
    beyond = bounds.beyond(model.engine_name, form.size_bytes if form else 0, p95_ms)
    if beyond:
        raise DataError(f"{model.served.name} v{model.version} is not taken: {beyond}")


@contextmanager
def _turn(together: Path | None) -> Iterator[None]:
    """Let one worker in at a time; the system gives back the place of one that is killed."""
    if together is None:
        yield
        return
    with (together / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _p95_ms(model: LoadedModel, together: Path | None) -> float:
    """Return how long a model takes, as it is measured now or as another worker has measured it."""
    digest = digest_json([model.served.to_json(), model.engine_name])
    kept = together / f"p95-{digest.removeprefix('sha256:')}.json" if together else None
    if kept is not None and kept.exists():
        return float(json.loads(kept.read_bytes()))
    columns, _ = golden_rows(model.folder)
    p95_ms = speed(model.answer, columns, 1)["p95_ms"]
    if kept is not None:
        write_file(kept, json.dumps(p95_ms).encode())
    return p95_ms
