"""What a stage reads stays as it is while the stage works, and a source is what was photographed: else no result.

DVC hashes what a stage has read after the stage has run. If that has changed meanwhile, its lock and its run cache
would credit the result to bytes that the stage never saw, for every later run too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError
from pipeline.graph import covers
from pipeline.runs import known_hashes
from pipeline.runs.absent_sources import GONE
from pipeline.runs.freshness import entries_of
from pipeline.runs.hashes import md5_of
from pipeline.runs.photograph import walk

MEANWHILE = "has changed while the stage worked on it"


def watch(repo: Any) -> None:
    """Make DVC, in this process, refuse the result of a stage whose dependencies are not what they should be."""
    from dvc.exceptions import DvcException
    from dvc.stage import Stage

    root = Path(repo.root_dir)
    known = known_hashes.noted(root)
    run_stage = Stage._run_stage  # noqa: SLF001 - as `hold` of absent_sources

    def run_watched(stage: Any, *arguments: Any, **named: Any) -> None:
        paths = {str(dependency): dependency.fs_path for dependency in stage.deps}
        for path in paths:
            if not _is_as_noted(root, path, known):
                raise DvcException(
                    f"stage {stage.addressing}: {path} {GONE}; bring it back as it was, or start a new run"
                )
        before = {path: list(entries_of(Path(file), path)) for path, file in paths.items()}
        run_stage(stage, *arguments, **named)
        for path, file in paths.items():
            if before[path] != list(entries_of(Path(file), path)):
                raise DvcException(f"stage {stage.addressing}: {path} {MEANWHILE}; its result is not kept, run again")

    Stage._run_stage = run_watched  # noqa: SLF001


def _is_as_noted(root: Path, path: str, known: dict[str, list[Any]]) -> bool:
    """Return whether a source holds what was photographed; true for what is no source."""
    wanted = {name: entry for name, entry in known.items() if covers(path, name)}
    if not wanted:
        return True
    try:
        found = list(walk(root, path))
        return {file.name for file in found} == wanted.keys() and all(
            file.identity == wanted[file.name][:-1] or md5_of(file.path) == wanted[file.name][-1] for file in found
        )
    except (DataError, StorageError):
        return False
