"""Memory that ran out is recognised, and the next try is given less to hold at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.recipe.execution import Execution, HorovodSettings, SparkSettings, load_execution
from pipeline.runs import out_of_memory


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.OutOfMemoryError: Java heap space",
        "bug: MemoryError: ",
        "ResourceExhaustedError: OOM when allocating tensor with shape[1024]",
        "fork: Cannot allocate memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
    ],
)
def test_the_words_of_memory_are_known(text: str) -> None:
    assert out_of_memory.is_sign(text)


def test_other_failures_are_not_taken_for_it() -> None:
    assert not out_of_memory.is_sign("the contract raw does not hold: column label")


@pytest.fixture
def counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where the counters of a container and of its machine would stand."""
    container, machine = tmp_path / "memory.events", tmp_path / "vmstat"
    monkeypatch.setattr(out_of_memory, "_COUNTERS", (container, machine))
    return container, machine


def test_the_containers_kills_are_counted(counters: tuple[Path, Path]) -> None:
    container, machine = counters
    container.write_text("low 0\nhigh 0\nmax 41\noom 5\noom_kill 3\noom_group_kill 2\n")
    machine.write_text("pgfault 77\noom_kill 8\ndrop_pagecache 0\n")
    assert out_of_memory.kills() == 3


@pytest.mark.parametrize("of_the_container", [None, "", "low 0\nhigh 0\n"])
def test_where_the_container_does_not_say_the_machines_kills_are_counted(
    counters: tuple[Path, Path], of_the_container: str | None
) -> None:
    container, machine = counters
    if of_the_container is not None:
        container.write_text(of_the_container)
    machine.write_text("pgfault 77\noom_kill 8\ndrop_pagecache 0\n")
    assert out_of_memory.kills() == 8


def test_where_nobody_says_nothing_was_killed(counters: tuple[Path, Path]) -> None:
    assert out_of_memory.kills() == 0
    counters[1].write_text("oom_kill many\n")
    assert out_of_memory.kills() == 0


def alone(workers: int) -> dict[str, str]:
    return {"RATCHET_HOROVOD__WORKERS": str(workers), "RATCHET_HOROVOD__THREADS_PER_WORKER": "1"}


def test_threads_are_halved_as_well() -> None:
    changed = out_of_memory.less_parallel(Execution(horovod=HorovodSettings(workers=1, threads_per_worker=4)), 4)
    assert changed["RATCHET_HOROVOD__THREADS_PER_WORKER"] == "2"


@pytest.mark.parametrize(
    ("master", "workers", "virtual_workers", "changed"),
    [
        ("local[4]", 4, 4, {**alone(2), "RATCHET_SPARK__MASTER": "local[2]"}),
        ("local[1]", 1, 4, {**alone(1), "RATCHET_SPARK__MASTER": "local[1]"}),
        ("spark://host:7077", 3, 3, alone(1)),
        ("spark://host:7077", 5, 5, alone(1)),  # two cannot share five
    ],
)
def test_half_the_parallelism_is_what_the_execution_reads(
    tmp_path: Path, master: str, workers: int, virtual_workers: int, changed: dict[str, str]
) -> None:
    execution = Execution(spark=SparkSettings(master=master), horovod=HorovodSettings(workers=workers))
    assert out_of_memory.less_parallel(execution, virtual_workers) == changed
    assert load_execution(tmp_path, changed).horovod.workers == int(changed["RATCHET_HOROVOD__WORKERS"])
