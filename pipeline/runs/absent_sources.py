"""Sources that are no longer what a run began with, when its workspace is made again.

What was made of them comes back by the run's own lock, so they are missed only if a stage that reads them must run
again; that is then an error in one line. DVC would otherwise take a source that is gone, or has grown since, for a
change of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.storage.artifacts import read_json, write_json

GONE = "is no longer what this run began with"
_FILE = Path(".ratchet") / "absent_sources.json"


def note(workspace: Path, paths: Sequence[str]) -> None:
    """Note which references of a run's photograph are not as photographed."""
    if paths:
        write_json(workspace / _FILE, list(paths))


def hold(repo: Any) -> None:
    """Make DVC, in this process, take the noted sources for unchanged, and refuse to run a stage that reads one."""
    path = Path(repo.root_dir) / _FILE
    if not path.is_file():
        return
    from dvc.dependency.base import Dependency
    from dvc.exceptions import DvcException
    from dvc.stage import Stage

    absent = {repo.fs.abspath(repo.fs.join(repo.root_dir, name)): name for name in read_json(path)}
    status, run = Dependency.workspace_status, Stage.run

    def workspace_status(dependency: Any) -> Any:
        return {} if dependency.fs_path in absent and dependency.hash_info else status(dependency)

    def run_unless_absent(stage: Any, *arguments: Any, **named: Any) -> Any:
        for dependency in stage.deps:
            if dependency.fs_path in absent:
                raise DvcException(
                    f"stage {stage.addressing}: has to run again, but {absent[dependency.fs_path]} {GONE}; "
                    "bring it back as it was, or start a new run"
                )
        return run(stage, *arguments, **named)

    Dependency.workspace_status, Stage.run = workspace_status, run_unless_absent
