"""The daemon from which Spark forks its Python workers: PySpark's own, made cheaper. Run by Spark, never imported.

In PySpark 4.1 a worker calls `importlib.invalidate_caches()` before every task, which reads the directories of the
archives on `sys.path` (pyspark.zip and a jar) again; and every worker imports pandas by itself, because pyarrow needs
it. So this daemon takes the archives, whose modules are installed anyway, off the path, and imports what all workers
need once, before they are forked.
"""

from __future__ import annotations

import sys

from pipeline.runtime.imports import report_imports

_ARCHIVES = (".zip", ".jar")


def main() -> None:
    """Import what workers need, then serve Spark until it closes standard input."""
    report_imports()
    sys.path[:] = [entry for entry in sys.path if not entry.endswith(_ARCHIVES)]
    sys.path_importer_cache.clear()
    import pandas  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401
    from pyspark import daemon

    daemon.manager()


if __name__ == "__main__":
    main()
