"""The most memory that a stage and the processes it has started have held, MiB.

The kernel adds up what a process has waited for, and nothing else: a JVM that ends with the stage, and the workers it
has started, it would not count. So whoever knows that they are about to end asks for theirs before.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

from pipeline.runtime import processes

JVM, WORKERS = "jvm", "workers"
_noted_mib: dict[str, float] = {}


def note_descendants(jvm: int | None = None) -> None:
    """Note the peaks of the JVM and of the largest other process that this one, or one of its, has started.

    `jvm`: a JVM that is not this process's own; see `forget_peak`.
    """
    for pid in processes.descendants() if jvm is None else [jvm, *processes.descendants(jvm)]:
        try:
            kind = JVM if Path(f"/proc/{pid}/comm").read_text().strip() == "java" else WORKERS
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue  # it has just ended
        # proc_pid_status(5): VmHWM is the peak of the resident set, KiB; a zombie has none.
        peaks = [float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
        _noted_mib[kind] = max([_noted_mib.get(kind, 0.0), *peaks])


def forget_peak(pid: int) -> None:
    """Let the peak of a process that is older than the stage begin anew (proc_pid_clear_refs(5))."""
    with suppress(OSError):  # where that is forbidden, the peak is that of the run so far
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peaks() -> dict[str, float]:
    """Return a stage's readings: its own peak, its children's, and what was noted of the JVM and of its workers."""
    # ru_maxrss is in KiB on Linux; for the children (ranks) it is that of the largest one.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    children = max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, *_noted_mib.values(), 0.0)
    readings = {"peak_memory_mib": own, "peak_memory_of_children_mib": children}
    readings |= {f"peak_memory_of_{kind}_mib": value for kind, value in _noted_mib.items()}
    return {name: round(value, 1) for name, value in readings.items()}
