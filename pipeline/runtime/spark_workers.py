"""What Spark forks its Python workers from: PySpark's own daemon, made cheap. Run by Spark, never imported.

Seen in PySpark 4.1: before every task a worker calls `importlib.invalidate_caches()`, which reads the directories
of the archives on `sys.path` anew (pyspark.zip and a jar), in every task; and every worker imports
pandas for itself, because pyarrow asks for it. So the archives, whose modules the environment holds anyway, leave the
path, and what all workers need is imported once, before they are forked.
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
