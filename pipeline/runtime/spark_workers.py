"""The daemon from which Spark forks its Python workers: PySpark's own, made cheaper. Run by Spark, never imported.

In PySpark 4.1 a worker calls `importlib.invalidate_caches()` before every task, which reads the directories of the
archives on `sys.path` (pyspark.zip and a jar) again; every worker imports pandas by itself, because pyarrow needs it;
and after every task it looks for garbage among all that is loaded. So this daemon takes the archives, whose modules are
installed anyway, off the path, imports what all workers need once, before they are forked, and leaves that out of the
collections. It ends with the stage, whose Spark may live on for the next one.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import threading

from pipeline.runtime.imports import report_imports

STAGE_VARIABLE = "RATCHET_STAGE_PID"  # the stage's process, where it is on this machine
_ARCHIVES = (".zip", ".jar")


def main() -> None:
    """Import what workers need, then serve Spark until it closes standard input."""
    report_imports()
    if stage := os.environ.get(STAGE_VARIABLE):
        _end_with(int(stage))
    sys.path[:] = [entry for entry in sys.path if not entry.endswith(_ARCHIVES)]
    sys.path_importer_cache.clear()
    import pandas  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401
    from pyspark import daemon

    gc.freeze()
    daemon.manager()


def _end_with(stage: int) -> None:
    """End this process, and the workers that it forks, when the stage's process ends."""
    os.setpgid(0, 0)  # as PySpark's daemon does itself: a group of these processes alone
    try:
        descriptor = os.pidfd_open(stage)
    except ProcessLookupError:
        os._exit(0)

    def wait() -> None:
        select.select([descriptor], [], [])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
