"""Follows a champion: `python -m pipeline.serving.follower PROJECT NAME FOLDER` is a process of its own.

It looks at the registry again and again. For a new champion it has `ratchet export` write a served folder inside
FOLDER, which checks digests and proves the form that is served, and lets the pointer name it. The service beside it
loads nothing of the registry or of the exporter, and goes on with what it has whatever becomes of this process. What
was found stands in `follower.json`.

With `--challenger VERSION`, a number or an alias, it does the same for that version, after the champion. A challenger
that cannot be had has no pointer: there is no last good one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain, UsageError, shortened
from pipeline.records.following import FOLLOWER_FILE, FollowedChallenger, Following
from pipeline.records.served_model import SERVED_FILE, ServedModel
from pipeline.registry.reader import Reader, champion_of, open_reader, version_named
from pipeline.registry.versions import Version
from pipeline.runtime import processes
from pipeline.serving.pointers import CHALLENGER_POINTER, LAST_GOOD, POINTER, point_away, point_to, pointed_to
from pipeline.serving.supervising import environment
from pipeline.storage.artifacts import write_json
from pipeline.storage.record_files import read_record

LOOK_EVERY_S = 5.0
_EXPORT_S = 1800.0
_REFUSED_S = 600.0  # after which a refused version is tried again: what it was refused for may lie in the project
_KEPT_BESIDES = 2
_TRY_AGAIN = (StorageError.exit_code, TryAgain.exit_code)

Export = Callable[[Version, Path], None]


class Refused(NamedTuple):
    """Why a version could not be made a served folder, and until when that is not tried again."""

    why: str
    until_s: float


class Found(NamedTuple):
    """What became of a version: `state`, `why` and `version` of `Following`."""

    state: str
    why: str = ""
    version: int | None = None


class Follower:
    """Looks at the champion of one name, and keeps the followed folder up to date with it.

    `challenger` is the version, a number or an alias, that is brought beside the champion; "" if none is.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        reading: Callable[[], Reader],
        export: Export,
        clock: Callable[[], float] = time.time,
        challenger: str = "",
    ) -> None:
        self._name, self._folder, self._reading, self._export, self._clock = name, folder, reading, export, clock
        self._wanted_challenger = challenger
        self._refused: dict[str, Refused] = {}  # by folder
        self._challenger: FollowedChallenger | None = None
        if challenger:  # what an earlier follower has found holds until the registry can be asked
            with suppress(RatchetError):
                self._challenger = read_record(folder / FOLLOWER_FILE, Following).challenger

    def look(self) -> Following:
        """Do what there is to do now; return what was found, which is written beside the pointer too."""
        try:
            reader = self._reading()
            champion = champion_of(reader, self._name)
            challenger = self._named_challenger(reader)
        except RatchetError as error:
            return self._noted(Found("unreachable", str(error)))
        if champion is None:
            found = Found("waiting", f"{self._name} has no champion in the registry yet")
        else:
            found = self._brought(champion, POINTER)
        if self._wanted_challenger:
            self._noted(found)  # before the challenger is exported, which takes its time
        self._challenger = self._challenged(champion, challenger)
        if found.state == "following":
            self._sweep()
        return self._noted(found)

    def _named_challenger(self, reader: Reader) -> Version | str:
        """Return the challenger's version, or why there is none."""
        try:
            return version_named(reader, self._name, self._wanted_challenger) if self._wanted_challenger else ""
        except UsageError as error:
            return str(error)

    def _challenged(self, champion: Version | None, challenger: Version | str) -> FollowedChallenger | None:
        """Bring the challenger; without a version to be had its pointer goes."""
        may_answer = False
        if isinstance(challenger, str):
            found = Found("waiting", challenger)
        else:
            try:
                may_answer = may_be_answered_by(challenger)
                found = self._beside(champion, challenger)
            except DataError as error:  # its tags were changed by hand
                found = Found("refused", str(error), challenger.version)
        if found.state != "following":
            point_away(self._folder, CHALLENGER_POINTER)
        if not self._wanted_challenger:
            return None
        return FollowedChallenger.model_validate({**found._asdict(), "may_answer": may_answer})

    def _beside(self, champion: Version | None, challenger: Version) -> Found:
        if champion is None:
            return Found("waiting", "there is no champion beside which it could be asked", challenger.version)
        if challenger.version == champion.version:
            return Found("waiting", "it is the champion", challenger.version)
        return self._brought(challenger, CHALLENGER_POINTER)

    def _brought(self, version: Version, pointer: str) -> Found:
        """Let a pointer name a version's served folder, made if it is not there."""
        folder = folder_of(version)
        if pointed_to(self._folder, pointer) == folder and (self._folder / folder / SERVED_FILE).is_file():
            return Found("following", version=version.version)
        refused = self._refused.get(folder)
        if refused is not None and self._clock() < refused.until_s:
            return Found("refused", refused.why, version.version)
        try:
            self._bring(version, folder, pointer)
        except RatchetError as error:
            if error.exit_code not in _TRY_AGAIN:
                self._refused[folder] = Refused(str(error), self._clock() + _REFUSED_S)
            return Found("refused", str(error), version.version)
        self._refused.pop(folder, None)
        return Found("following", version=version.version)

    def _bring(self, version: Version, folder: str, pointer: str) -> None:
        target = self._folder / folder
        if not (target / SERVED_FILE).is_file():
            self._export(version, target)
        served = read_record(target / SERVED_FILE, ServedModel)
        if (served.version, served.digest) != (version.version, version.digest):
            raise DataError(f"{version.name} v{version.version}: its served folder is another model's; remove {folder}")
        point_to(self._folder, folder, pointer)

    def _sweep(self) -> None:
        """Remove folders that nothing names but for the newest ones, which a service may be about to load."""
        stays = {pointed_to(self._folder, pointer) for pointer in (POINTER, LAST_GOOD, CHALLENGER_POINTER)}
        others = [
            each for each in self._folder.glob("v*/") if each.name not in stays and (each / SERVED_FILE).is_file()
        ]
        others.sort(key=lambda each: (each / SERVED_FILE).stat().st_mtime)
        for each in others[: len(others) - _KEPT_BESIDES]:
            shutil.rmtree(each, ignore_errors=True)

    def _noted(self, found: Found) -> Following:
        following = Following.model_validate(
            {**found._asdict(), "looked_at_s": self._clock(), "challenger": self._challenger}
        )
        write_json(self._folder / FOLLOWER_FILE, following.to_json())
        return following


def folder_of(version: Version) -> str:
    """Return the name of a version's served folder: its number, and the beginning of its digest."""
    return f"v{version.version}-{version.digest.removeprefix('sha256:')[:12] or 'unknown'}"


def may_be_answered_by(version: Version) -> bool:
    """Return whether a version's answers may be given to users: by a verdict, or by a person who has overruled one."""
    return version.outcome == "promote" or bool(version.moves)


def export_by_command(project: Path, formats: Sequence[str]) -> Export:
    """Return what has `ratchet export` write a served folder, in a process with which its memory ends."""

    def export(version: Version, target: Path) -> None:
        wanted = ["--formats", ",".join(formats)] if formats else []
        command = [sys.executable, "-m", "pipeline", "export", f"{version.name}@{version.version}"]
        command += ["--to", str(target.absolute()), *wanted]
        with processes.start(command, folder=project, environment=environment()) as process:
            try:
                output, _ = process.communicate(timeout=_EXPORT_S)
            except subprocess.TimeoutExpired:
                raise TryAgain(f"{version.name} v{version.version} was not exported within {_EXPORT_S:g} s") from None
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
    parser.add_argument("--challenger", default="", help="a version of NAME, a number or an alias, to bring beside it")
    parser.add_argument("--every-s", type=float, default=LOOK_EVERY_S)
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    store = resolve_store(options.project, load_execution(options.project).mlflow)
    export = export_by_command(options.project, [each for each in options.formats.split(",") if each])
    follower = Follower(options.name, options.folder, lambda: open_reader(store), export, challenger=options.challenger)
    while True:
        found = follower.look()
        if options.once:
            print(found.why or f"{options.name} v{found.version}")  # noqa: T201 - for whoever started this
            return 0 if found.state == "following" else DataError.exit_code
        time.sleep(options.every_s)


if __name__ == "__main__":
    processes.die_with_parent()
    sys.exit(main())
