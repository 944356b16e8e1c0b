"""Detects that a stage ran out of memory, and makes its retry need less."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.recipe.execution import Execution

_SIGNS: Final = re.compile(
    r"OutOfMemoryError|MemoryError|Java heap space|Cannot allocate memory|OOM when allocating|ResourceExhausted"
    r"|bad_alloc|ENOMEM|oom-kill",
    re.IGNORECASE,
)
_LOCAL_SPARK = re.compile(r"local\[(\d+)\]")
_COUNTER = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))  # this container's, otherwise the machine's


def is_sign(text: str) -> bool:
    """Return whether a text says that memory ran out, in the words of Java, Python, TensorFlow or the kernel."""
    return bool(_SIGNS.search(text))


def kills() -> int:
    """Return how many processes the kernel has killed for memory so far, here; 0 if it does not say.

    Source: the kernel's admin guide, cgroup v2, `memory.events`; proc(5), `vmstat`.
    """
    for counter in _COUNTERS:
        try:
            found = _COUNTER.search(counter.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def less_parallel(execution: Execution, virtual_workers: int) -> dict[str, str]:
    """Return the environment of a retry with half the Spark threads, Horovod workers and threads of each, at least one.

    Of the workers at most half, so many that they can share the virtual workers equally.
    """
    from pipeline.recipe.execution import as_variables

    half = max(1, execution.horovod.workers // 2)
    fits = max(workers for workers in range(1, half + 1) if virtual_workers % workers == 0)
    threads = max(1, execution.horovod.threads_per_worker // 2)
    changes = {"horovod.workers": str(fits), "horovod.threads_per_worker": str(threads)}
    local = _LOCAL_SPARK.fullmatch(execution.spark.master)
    if local:
        changes["spark.master"] = f"local[{max(1, int(local[1]) // 2)}]"
    return as_variables(changes)
