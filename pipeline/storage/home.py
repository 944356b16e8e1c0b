"""The project's folder that a workspace belongs to: there a run publishes, and it stays when the workspace is gone."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError
from pipeline.graph import GRAPH_FILE
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.storage.record_files import find_record


def find_origin(root: Path) -> Origin | None:
    """Return where the folder of a run comes from; None if it is no workspace. Raises DataError if damaged."""
    return find_record(root / ORIGIN_FILE, Origin)


def home_of(root: Path) -> Path:
    """Return the project's folder, resolved: `root` itself unless it is a workspace. Raises DataError if it is gone."""
    origin = find_origin(root)
    if origin is None:
        return root.resolve()
    home = (root.resolve() / origin.home).resolve()
    if not (home / GRAPH_FILE).is_file():
        raise DataError(
            f"{root / ORIGIN_FILE}: its project is not at {home}; go on in the project's folder, "
            "or remove this file to make this folder a project of its own"
        )
    return home
