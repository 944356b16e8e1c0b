"""A task that the project does not have: one file, laid beside the others."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.evaluation import tasks

NAME = "closeness"


@contextlib.contextmanager
def made_task() -> Iterator[str]:
    """Make the slot of tasks find the file in `made_tasks/` too; yield its name in a recipe."""
    tasks.__path__.append(str(Path(__file__).parent / "made_tasks"))
    try:
        yield NAME
    finally:
        tasks.__path__.pop()
        sys.modules.pop(f"{tasks.__name__}.{NAME}", None)
        vars(tasks).pop(NAME, None)
