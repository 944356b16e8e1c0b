"""Follows a champion: `python -m pipeline.serving.follower PROJECT NAME FOLDER` is a process of its own.

It looks at the registry again and again. For a new champion it has `ratchet export` write a served folder inside
FOLDER, which checks digests and proves the form that is served, and lets the pointer name it. The service beside it
loads nothing of the registry or of the exporter, and goes on with what it has whatever becomes of this process. What
was found stands in `follower.json`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain, shortened
from pipeline.records.following import FOLLOWER_FILE, Following
from pipeline.records.served_model import SERVED_FILE, ServedModel
from pipeline.registry.reader import Reader, champion_of, open_reader
from pipeline.registry.versions import Version
from pipeline.runtime import processes
from pipeline.serving.pointers import LAST_GOOD, POINTER, point_to, pointed_to
from pipeline.serving.supervising import environment
from pipeline.storage.artifacts import write_json
from pipeline.storage.record_files import read_record

LOOK_EVERY_S = 5.0
_EXPORT_S = 1800.0
_REFUSED_S = 600.0  # after which a refused champion is tried again: what it was refused for may lie in the project
_KEPT_BESIDES = 2
_TRY_AGAIN = (StorageError.exit_code, TryAgain.exit_code)

Export = Callable[[Version, Path], None]


class Refused(NamedTuple):
    """A champion that could not be made a served folder."""

    folder: str
    why: str
    until_s: float


class Follower:
    """Looks at the champion of one name, and keeps the followed folder up to date with it."""

    def __init__(
        self,
        name: str,
        folder: Path,
        reading: Callable[[], Reader],
        export: Export,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._folder, self._reading, self._export, self._clock = name, folder, reading, export, clock
        self._refused: Refused | None = None

    def look(self) -> Following:
        """Do what there is to do now; return what was found, which is written beside the pointer too."""
        try:
            champion = champion_of(self._reading(), self._name)
        except RatchetError as error:
            return self._noted("unreachable", str(error))
        if champion is None:
            return self._noted("waiting", f"{self._name} has no champion in the registry yet")
        folder = folder_of(champion)
        if pointed_to(self._folder, POINTER) == folder and (self._folder / folder / SERVED_FILE).is_file():
            return self._noted("following", version=champion.version)
        if self._refused is not None and self._refused.folder == folder and self._clock() < self._refused.until_s:
            return self._noted("refused", self._refused.why, champion.version)
        try:
            self._bring(champion, folder)
        except RatchetError as error:
            if error.exit_code not in _TRY_AGAIN:
                self._refused = Refused(folder, str(error), self._clock() + _REFUSED_S)
            return self._noted("refused", str(error), champion.version)
        self._refused = None
        self._sweep(folder)
        return self._noted("following", version=champion.version)

    def _bring(self, champion: Version, folder: str) -> None:
        target = self._folder / folder
        if not (target / SERVED_FILE).is_file():
            self._export(champion, target)
        served = read_record(target / SERVED_FILE, ServedModel)
        if (served.version, served.digest) != (champion.version, champion.digest):
            raise DataError(
                f"{champion.name} v{champion.version}: its served folder is another model's; remove {folder}"
            )
        point_to(self._folder, folder)

    def _sweep(self, current: str) -> None:
        """Remove folders of earlier champions but for the newest ones, which a service may be about to load."""
        stays = {current, pointed_to(self._folder, LAST_GOOD)}
        others = [
            each for each in self._folder.glob("v*/") if each.name not in stays and (each / SERVED_FILE).is_file()
        ]
        others.sort(key=lambda each: (each / SERVED_FILE).stat().st_mtime)
        for each in others[: len(others) - _KEPT_BESIDES]:
            shutil.rmtree(each, ignore_errors=True)

    def _noted(self, state: str, why: str = "", version: int | None = None) -> Following:
        found = Following.model_validate({"state": state, "why": why, "version": version, "looked_at_s": self._clock()})
        write_json(self._folder / FOLLOWER_FILE, found.to_json())
        return found


def folder_of(champion: Version) -> str:
    """Return the name of a champion's served folder: its version, and the beginning of its digest."""
    return f"v{champion.version}-{champion.digest.removeprefix('sha256:')[:12] or 'unknown'}"


def export_by_command(project: Path, formats: Sequence[str]) -> Export:
    """Return what has `ratchet export` write a served folder, in a process with which its memory ends."""

    def export(champion: Version, target: Path) -> None:
        wanted = ["--formats", ",".join(formats)] if formats else []
        command = [sys.executable, "-m", "pipeline", "export", f"{champion.name}@{champion.version}"]
        command += ["--to", str(target.absolute()), *wanted]
        with processes.start(command, folder=project, environment=environment()) as process:
            try:
                output, _ = process.communicate(timeout=_EXPORT_S)
            except subprocess.TimeoutExpired:
                raise TryAgain(f"{champion.name} v{champion.version} was not exported within {_EXPORT_S:g} s") from None
            finally:
                processes.end(process)
        if process.returncode != 0:
            lines = output.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            why = shortened(lines[-1].removeprefix("ratchet: ").replace(f"{project}/", ""))
            kind = TryAgain if process.returncode < 0 or process.returncode in _TRY_AGAIN else DataError
            raise kind(why)

    return export


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow until this process is ended, or look once; return the exit code: 0 if the champion is followed."""
    from pipeline.recipe.execution import load_execution
    from pipeline.registry.store import resolve_store

    parser = argparse.ArgumentParser(prog="python -m pipeline.serving.follower")
    parser.add_argument("project", type=Path)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--formats", default="")
    parser.add_argument("--every-s", type=float, default=LOOK_EVERY_S)
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    store = resolve_store(options.project, load_execution(options.project).mlflow)
    export = export_by_command(options.project, [each for each in options.formats.split(",") if each])
    follower = Follower(options.name, options.folder, lambda: open_reader(store), export)
    while True:
        found = follower.look()
        if options.once:
            print(found.why or f"{options.name} v{found.version}")  # noqa: T201 - for whoever started this
            return 0 if found.state == "following" else DataError.exit_code
        time.sleep(options.every_s)


if __name__ == "__main__":
    processes.die_with_parent()
    sys.exit(main())
