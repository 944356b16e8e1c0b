"""A model that is slower or larger here than it may be is not taken; the last good one stays, and it is said why."""

from __future__ import annotations

import fcntl
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


@pytest.mark.long
def test_a_model_that_is_too_slow_or_too_large_is_not(tmp_path: Path) -> None:
    folder = made.folder(tmp_path / "one", made.TABLE)
    with pytest.raises(
        DataError, match=r"^zoo v3 is not taken: its saved_model takes \S+ ms a call of one row at the 95"
    ):
        within(MachineBounds(p95_ms=1000 * SLOW_S / 2), slow)(folder, "auto")
    with pytest.raises(DataError, match=r"^zoo v3 is not taken: its saved_model has \S+ MiB, 1e-06 may be on this"):
        within(MachineBounds(size_mib=1e-6), quick)(folder, "auto")


@pytest.mark.long
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


def is_anybodys_turn(together: Path) -> bool:
    with (together / "loading.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_of_several_workers_one_loads_at_a_time(tmp_path: Path) -> None:
    turns: list[bool] = []

    def loading(folder: Path, engine: str) -> LoadedModel:
        turns.append(is_anybodys_turn(tmp_path))
        return quick(folder, engine)

    load_within = within(MachineBounds(), loading, tmp_path)
    load_within(made.folder(tmp_path / "one", made.TABLE), "auto")
    with pytest.raises(DataError, match="fails its golden rows"):
        load_within(made.folder(tmp_path / "wrong", made.TABLE, wrong=0.1), "auto")
    assert turns == [False, False]
    assert is_anybodys_turn(tmp_path)


@pytest.mark.long
def test_what_the_first_worker_has_measured_holds_for_all(tmp_path: Path) -> None:
    bounds = MachineBounds(p95_ms=1000 * SLOW_S / 2)
    one, two = (made.folder(tmp_path / name, made.TABLE, version=number) for name, number in (("one", 1), ("two", 2)))
    within(bounds, quick, tmp_path)(one, "auto")
    assert within(bounds, slow, tmp_path)(one, "auto").version == "1"  # in a worker that is started again under load
    for loading in (slow, quick):
        with pytest.raises(DataError, match=r"^zoo v2 is not taken: its saved_model takes"):
            within(bounds, loading, tmp_path)(two, "auto")


@pytest.mark.long
def test_a_challenger_is_held_to_the_bounds_too(tmp_path: Path) -> None:
    first, second = made.folder(tmp_path / "one", made.TABLE), made.folder(tmp_path / "two", made.TABLE, version=4)
    bounds = MachineBounds(p95_ms=1000 * SLOW_S / 2)
    bounded = {first: within(bounds, quick), second: within(bounds, slow)}
    models = Models(first, Metrics(), Kept(), lambda folder: bounded[folder](folder, "auto"), second)
    models.open()
    models.look()
    assert models.current is not None
    assert models.challenger.taken is None
    assert models.challenger.why.startswith("zoo v4 is not taken: its saved_model takes")
