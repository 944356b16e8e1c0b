"""Cores, memory, disk, a folder that can be written, a user with a name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.doctor import machine


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_worker_has_a_core() -> None:
    assert machine.check_cores(1).is_ok


def test_more_workers_than_cores_are_refused_with_a_number_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1, 2})
    check = machine.check_cores(4)
    assert (check.is_ok, check.found) == (False, "3 cores for 4 workers: they would wait for each other")
    assert check.remedy == "ratchet run --execution horovod.workers=3"


def test_more_threads_than_cores_are_refused_with_a_number_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    assert machine.check_cores(2, 2).is_ok
    check = machine.check_cores(2, 64)
    assert (check.is_ok, check.found) == (False, "5 cores for 2 workers of 64 threads: they would wait for each other")
    assert check.remedy == "ratchet run --execution horovod.threads_per_worker=2"


@pytest.mark.parametrize(
    ("available_gib", "workers", "remedy"),
    [
        (1.5, 1, ""),  # Spark's share is the larger
        (4.0, 4, ""),
        (3.5, 4, "ratchet run --execution horovod.workers=3"),
        (1.2, 1, "ps aux --sort=-rss | head"),  # no number of workers fits
        (0.5, 4, "ps aux --sort=-rss | head"),
    ],
)
def test_memory_is_for_spark_or_for_the_workers_whichever_need_more(
    monkeypatch: pytest.MonkeyPatch, available_gib: float, workers: int, remedy: str
) -> None:
    monkeypatch.setattr(machine, "_available_memory", lambda: int(available_gib * machine.GIB))
    check = machine.check_memory(workers)
    assert (check.is_ok, check.remedy) == (not remedy, remedy)


def read_as(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> int:
    """Return the memory that the kernel's files tell of; those not given are not there."""

    def read_text(path: Path, *_: Any, **__: Any) -> str:
        if str(path) not in files:
            raise FileNotFoundError(str(path))
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read_text)
    return machine._available_memory()


MEMINFO = {"/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    4000 kB\n"}
LIMIT, USED = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"


@pytest.mark.parametrize(
    ("of_the_container", "available"),
    [
        ({}, 4_096_000),
        ({LIMIT: "max\n", USED: "1000\n"}, 4_096_000),
        ({LIMIT: "3000000\n", USED: "1000000\n"}, 2_000_000),
        ({LIMIT: "9000000000\n", USED: "0\n"}, 4_096_000),
    ],
)
def test_available_is_the_machines_or_the_containers_memory_whichever_is_less(
    monkeypatch: pytest.MonkeyPatch, of_the_container: dict[str, str], available: int
) -> None:
    assert read_as(monkeypatch, MEMINFO | of_the_container) == available


@pytest.mark.parametrize(("free_gib", "is_ok"), [(2.9, False), (3.0, True)])
def test_a_disk_without_room_for_a_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, is_ok: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, int(free_gib * machine.GIB)))
    check = machine.check_disk(tmp_path / "a folder")
    assert check.is_ok == is_ok
    assert check.remedy == ("" if is_ok else f"cd '{tmp_path}/a folder' && .venv/bin/ratchet gc")


def test_a_work_tree_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    assert machine.check_work_tree(tmp_path).is_ok
    assert list(tmp_path.iterdir()) == []


def test_a_work_tree_where_nothing_can_be_written_is_refused() -> None:
    check = machine.check_work_tree(Path("/proc"))  # read-only for root too
    assert not check.is_ok
    assert check.remedy.startswith("sudo chown")


def test_a_user_without_a_name_is_told_what_dvc_wants_to_know_and_that_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine.user, "is_known_to_the_system", lambda: False)
    monkeypatch.setenv("LOGNAME", "uid-7")
    monkeypatch.setenv("HOME", "/a home")
    check = machine.check_user()
    assert (check.is_ok, check.remedy) == (True, "")
    assert check.found.endswith("before `dvc` by hand: `export LOGNAME=uid-7 HOME='/a home'`")


def test_a_user_with_a_name_is_told_it() -> None:
    assert machine.check_user().is_ok
