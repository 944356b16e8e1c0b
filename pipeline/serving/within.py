"""A model is taken only if this machine answers with it in time, and its form is no larger than it may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import DataError
from pipeline.export.bounds import MachineBounds
from pipeline.export.served import golden_rows
from pipeline.export.trial import speed
from pipeline.serving.model import LoadedModel, load

Load = Callable[[Path, str], LoadedModel]


def within(bounds: MachineBounds, loading: Load = load) -> Load:
    """Return what loads a model as `model.load` does, and raises DataError for one that is beyond a bound.

    The engine's own form is held to them: its files, and calls with one golden row, one after the other.
    """

    def load_within(folder: Path, engine: str) -> LoadedModel:
        model = loading(folder, engine)
        if bounds.are_set:
            require_within(model, bounds)
        return model

    return load_within


def require_within(model: LoadedModel, bounds: MachineBounds) -> None:
    """Raise DataError, in one line, for a model that is beyond a bound."""
    form = model.served.format(model.engine_name)
    columns, _ = golden_rows(model.folder)
    p95_ms = speed(model.answer, columns, 1)["p95_ms"] if bounds.p95_ms is not None else None
    beyond = bounds.beyond(model.engine_name, form.size_bytes if form else 0, p95_ms)
    if beyond:
        raise DataError(f"{model.served.name} v{model.version} is not taken: {beyond}")
