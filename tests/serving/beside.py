"""A service with a challenger beside its champion, for tests: v3 and v4 of a table's model, foretelling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.serving.limits import Limits
from pipeline.serving.metrics import Metrics
from pipeline.serving.models import Models
from pipeline.serving.roles import Shares
from tests.serving import made
from tests.serving.running import Kept, Running, running, serving
from tests.serving.test_guard import wait_for
from tests.serving.test_models import loaded

ROW = {"distance": 1.0, "carrier": "A"}


@contextmanager
def challenged(
    root: Path, *, canary: float = 0.0, shadow: float = 0.0, limits: Limits | None = None, **more: Any
) -> Iterator[Running]:
    """Run a service of two served folders, once both are taken. Unless limits are given, no challenger is late."""
    about = {"classes": more.pop("classes", made.CLASSES)}
    first = made.folder(root / "one", made.TABLE, **about)
    second = made.folder(root / "two", made.TABLE, version=4, **about)
    metrics, log = Metrics(), Kept()
    models = Models(first, metrics, log, loaded, challenger=second)
    models.open()
    limits = limits or Limits(canary_s=1e6, request_s=1e6)
    service = serving(None, limits, models=models, metrics=metrics, log=log, shares=Shares(canary, shadow), **more)
    with running(service) as found:
        wait_for(lambda: models.challenger.taken)
        yield found


def engine(service: Running, role: str) -> made.Foretelling:
    """The engine of a role."""
    models = service.service.models
    model = models.current if role == "champion" else models.challenger.taken and models.challenger.taken.model
    assert model is not None
    assert isinstance(model.engine, made.Foretelling)
    return model.engine


def reading(service: Running, name: str) -> float:
    """The value of a reading, by its name with its labels; 0 if it is not there."""
    text = service.ask("GET", "/metrics").body.decode()
    return float(next((line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")), 0))
