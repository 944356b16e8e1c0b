"""A model that is slower or larger here than it may be is not taken; the last good one stays, and it is said why."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.export.bounds import MachineBounds
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel, load
from pipeline.serving.models import Models
from pipeline.serving.pointers import LAST_GOOD, POINTER, point_to, pointed_to
from pipeline.serving.within import within
from tests.serving import made
from tests.serving.running import Kept

SLOW_S = 0.02


class Slow:
    """An engine that takes its time."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def answer(self, columns: Any) -> Any:
        time.sleep(SLOW_S)
        return self._engine.answer(columns)


def slow(folder: Path, engine: str) -> LoadedModel:
    def opened(*arguments: Any) -> Any:
        name, inner = made.opened(*arguments)
        return name, Slow(inner)

    return load(folder, engine, opening=opened)


def quick(folder: Path, engine: str) -> LoadedModel:
    return load(folder, engine, opening=made.opened)


def test_without_bounds_a_model_is_asked_its_golden_rows_alone(tmp_path: Path) -> None:
    found = within(MachineBounds(), quick)(made.folder(tmp_path / "one", made.TABLE), "auto")
    assert found.engine.asked == [3]  # type: ignore[attr-defined]


def test_a_model_within_its_bounds_is_taken(tmp_path: Path) -> None:
    folder = made.folder(tmp_path / "one", made.TABLE)
    assert within(MachineBounds(p95_ms=60_000.0, size_mib=1.0), quick)(folder, "auto").served.name == "zoo"


def test_a_model_that_is_too_slow_or_too_large_is_not(tmp_path: Path) -> None:
    folder = made.folder(tmp_path / "one", made.TABLE)
    with pytest.raises(
        DataError, match=r"^zoo v3 is not taken: its saved_model takes \S+ ms a call of one row at the 95"
    ):
        within(MachineBounds(p95_ms=1000 * SLOW_S / 2), slow)(folder, "auto")
    with pytest.raises(DataError, match=r"^zoo v3 is not taken: its saved_model has \S+ MiB, 1e-06 may be on this"):
        within(MachineBounds(size_mib=1e-6), quick)(folder, "auto")


def test_the_last_good_one_stays_and_it_is_said_why(tmp_path: Path) -> None:
    made.folder(tmp_path / "good", made.TABLE)
    made.folder(tmp_path / "slow", made.TABLE)
    bounded = {"good": within(MachineBounds(), quick), "slow": within(MachineBounds(p95_ms=1000 * SLOW_S / 2), slow)}
    models = Models(tmp_path, Metrics(), Kept(), lambda folder: bounded[folder.name](folder, "auto"))
    point_to(tmp_path, "good")
    models.open()
    point_to(tmp_path, "slow")
    models.look()
    assert pointed_to(tmp_path, POINTER) == "slow"
    assert pointed_to(tmp_path, LAST_GOOD) == "good"
    assert models.current is not None
    assert models.current.folder.name == "good"
    assert models.refused is not None
    assert re.match(r"zoo v3 is not taken: its saved_model takes", models.refused.why)
