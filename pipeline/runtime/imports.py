"""Which modules of this package a stage's processes import, so that no code that decides a result goes undeclared.

The stage's own imports are in its `sys.modules`. The ranks, Spark's Python workers and the process that queries the
exported model are separate processes: each appends its imports to a file that the stage names in the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from pathlib import Path

IMPORTS_VARIABLE = "RATCHET_IMPORTS"
_PACKAGE = "pipeline"


class _Listener(MetaPathFinder):
    """The first finder of every import: finds nothing itself, but records the modules of this package."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if _is_ours(fullname):
            _append(self._path, [fullname])


def report_imports() -> None:
    """Report what this process has imported, and what it, or a process forked from it, will import from now on.

    Does nothing unless a stage has called `collect_imports`.
    """
    path = os.environ.get(IMPORTS_VARIABLE)
    if path:
        _append(path, filter(_is_ours, list(sys.modules)))
        sys.meta_path.insert(0, _Listener(path))


def collect_imports(path: Path) -> None:
    """Make the processes that this one starts from now on report their imports to a file, emptied first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    os.environ[IMPORTS_VARIABLE] = str(path)


def imported_modules(path: Path) -> set[str]:
    """Return the modules of this package that this process has imported, and those reported to the file `path`."""
    own = {name for name, module in list(sys.modules.items()) if _is_ours(name) and module is not None}
    return own | (set(path.read_text().split()) if path.is_file() else set())


def _is_ours(name: str) -> bool:
    return name == _PACKAGE or name.startswith(_PACKAGE + ".")


def _append(path: str, names: Iterable[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, "".join(f"{name}\n" for name in names).encode())  # one write: processes never mix
    finally:
        os.close(descriptor)
