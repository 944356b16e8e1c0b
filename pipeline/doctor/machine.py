"""Checks of the machine: cores, memory, disk, a folder that can be written, and a user with a name."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from pipeline.doctor.health import HealthCheck
from pipeline.runtime import user

GIB = 1024**3
DISK_NEEDED_GIB = 3.0  # Spark's shuffle, DVC's cache and a run's workspace, for all 70 000 images
SPARK_MEMORY_GIB = 1.5  # the JVM driver and its Python workers
WORKER_MEMORY_GIB = 1.0  # one training process; TensorFlow itself takes half of it


def check_cores(workers: int, threads: int = 1) -> HealthCheck:
    """A core for each thread of each worker."""
    cores = len(os.sched_getaffinity(0))
    each = f" of {threads} threads" if threads > 1 else ""
    if workers * threads <= cores:
        return HealthCheck("cores", True, f"{cores} cores for {workers} workers{each}")
    found = f"{cores} cores for {workers} workers{each}: they would wait for each other"
    key, fits = ("workers", cores) if workers > cores or threads == 1 else ("threads_per_worker", cores // workers)
    return HealthCheck("cores", False, found, f"ratchet run --execution horovod.{key}={fits}")


def check_memory(workers: int) -> HealthCheck:
    """Memory for Spark or for the workers, whichever needs more: they never run at the same time."""
    available_gib = _available_memory() / GIB
    needed_gib = max(SPARK_MEMORY_GIB, workers * WORKER_MEMORY_GIB)
    found = f"{available_gib:.1f} GiB available, {needed_gib:.1f} GiB needed"
    if available_gib >= needed_gib:
        return HealthCheck("memory", True, found)
    fits = int(available_gib / WORKER_MEMORY_GIB)
    remedy = f"ratchet run --execution horovod.workers={fits}" if 1 <= fits < workers else "ps aux --sort=-rss | head"
    return HealthCheck("memory", False, found, remedy)


def _available_memory() -> int:
    """Return the bytes still available: the machine's, or the container's (cgroup v2) if fewer."""
    meminfo = Path("/proc/meminfo").read_text()
    machine = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    available = int(machine[1]) * 1024 if machine else 0
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        return available if limit == "max" else min(available, int(limit) - int(used))
    except (OSError, ValueError):
        return available


def check_disk(root: Path) -> HealthCheck:
    """Space for a run on the disk that holds `root`."""
    free_gib = shutil.disk_usage(root).free / GIB
    found = f"{free_gib:.1f} GiB free, {DISK_NEEDED_GIB:.1f} GiB needed"
    is_ok = free_gib >= DISK_NEEDED_GIB
    return HealthCheck("disk", is_ok, found, "" if is_ok else f"cd {shlex.quote(str(root))} && .venv/bin/ratchet gc")


def check_work_tree(root: Path) -> HealthCheck:
    """A file can be written in `root`. Permission bits are not enough: the disk may be mounted read-only."""
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-"):
            return HealthCheck("work tree", True, f"{root} is writable")
    except OSError as error:
        remedy = f'sudo chown -R "$(id -u):$(id -g)" {shlex.quote(str(root))}'
        return HealthCheck("work tree", False, f"{root} is not writable: {error.strerror}", remedy)


def check_user() -> HealthCheck:
    """The user has a name. `ratchet` does without; the command `dvc`, typed by hand, has to be told one."""
    if user.is_known_to_the_system():
        return HealthCheck("user", True, user.name())
    told = f"export LOGNAME={shlex.quote(user.name())} HOME={shlex.quote(str(Path.home()))}"
    return HealthCheck("user", True, f"user id {os.getuid()} has no name here; before `dvc` by hand: `{told}`")
