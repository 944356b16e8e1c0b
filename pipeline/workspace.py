"""One run, one git worktree: with a recipe of its own, sharing the DVC cache, so that two runs never meet.

A worktree holds the commit that is checked out, plus whatever the person has changed and not yet committed: what runs
is what they see.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pipeline.artifacts import write_file
from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.graph import PARAMS_FILE

WORKTREES = ".worktrees"
WORK = Path(".ratchet")  # in each workspace: locks, logs, and what is in hand
_RUN_LOCK = "run.lock"
_MAKER_LOCK = "worktrees.lock"
_MAKING_S = 600.0  # a checkout on a slow disk, several times
_NEW_S = 60.0
_LOOK_S = 0.1


def find_root(start: Path) -> Path:
    """Return the project's folder: the nearest one upwards that holds dvc.yaml and pipeline/."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "pipeline").is_dir():
            return folder
    raise UsageError(f"{start}: not inside a Ratchet project (no dvc.yaml here or above); change to its folder first")


def stage_folder(place: Path, stage: str) -> Path:
    """Return where a stage that is run alone keeps its lock, its events and what DVC says."""
    return place / WORK / "stages" / stage


def place_of(root: Path, run_id: str) -> Path:
    """Return where a run's worktree stands, or would stand."""
    return root / WORKTREES / run_id


@contextmanager
def worktree(root: Path, run_id: str, recipe: dict[str, Any]) -> Iterator[Path]:
    """Give a run's worktree with its own `params.yaml`; remove it when the block ends.

    Raises UsageError where git has no commit to start from. Nothing is lost with it that has not been kept or that the
    DVC cache does not hold.
    """
    try:
        yield make(root, run_id, recipe)
    finally:
        remove(root, place_of(root, run_id))


def make(root: Path, run_id: str, recipe: dict[str, Any]) -> Path:
    """Make a run's worktree with its own `params.yaml` and return its folder; it stays until `remove`, or a `sweep`."""
    place = place_of(root, run_id)
    if _git(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode != 0:
        raise UsageError(f"{root}: a run with its own recipe needs a git repository with a commit; `git commit` first")
    try:
        _git_or_fail(root, "worktree", "add", "--quiet", "--detach", str(place), "HEAD")
        _overlay_uncommitted(root, place)
        write_file(place / PARAMS_FILE, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).encode())
        _share_cache(root, place)
        _link_source(root, place, str(recipe["data"]["path"]))
    except OSError as error:
        remove(root, place)
        raise StorageError(f"{place}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        remove(root, place)
        raise
    return place


def remove(root: Path, place: Path) -> None:
    """Remove a worktree; nothing happens if it is gone."""
    shutil.rmtree(place, ignore_errors=True)
    _git(root, "worktree", "prune")


def sweep(root: Path, is_wanted: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Remove the worktrees that nobody works in and whose run is not wanted any more; return those runs' ids."""
    gone = []
    for place in (root / WORKTREES).glob("*/"):
        if is_wanted(place.name) or time.time() - place.stat().st_mtime < _NEW_S:
            continue  # the last: perhaps made this moment, and not locked yet
        try:
            with (place / WORK / _RUN_LOCK).open("a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its run goes on
        except FileNotFoundError:
            pass  # killed before it took the lock
        remove(root, place)
        gone.append(place.name)
    return gone


@contextmanager
def only_run_in(place: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a folder's run lock: two runs at once in one workspace are not possible.

    Raises TryAgain if another process still holds it after `patience_s`.
    """
    with _held(place, place / WORK / _RUN_LOCK, patience_s=patience_s):
        yield


@contextmanager
def one_stage_in(place: Path, stage: str, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a folder for one stage of its run: beside other stages, whose paths DVC keeps apart; never beside itself.

    Raises TryAgain if a whole run, or the same stage, still works there after `patience_s`.
    """
    with (
        _held(place, place / WORK / _RUN_LOCK, is_shared=True, patience_s=patience_s),
        _held(place, stage_folder(place, stage) / "lock", patience_s=patience_s),
    ):
        yield


@contextmanager
def only_maker(root: Path) -> Iterator[None]:
    """Hold the right to look whether a worktree is there, and to make it; raise TryAgain if that does not come."""
    with _held(root, root / WORK / _MAKER_LOCK, patience_s=_MAKING_S):
        yield


@contextmanager
def _held(place: Path, path: Path, *, is_shared: bool = False, patience_s: float = 0.0) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    except OSError as error:
        raise StorageError(
            f"{path.parent}: cannot be written: {error.strerror}; run in a folder of your own"
        ) from error
    give_up_s = time.monotonic() + patience_s
    with handle:
        while True:
            try:
                kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
                fcntl.flock(handle, kind | fcntl.LOCK_NB)  # the kernel lets go when the process ends, however
                break
            except BlockingIOError as error:
                if time.monotonic() >= give_up_s:
                    handle.seek(0)
                    holder = handle.read().strip() or "unknown"
                    raise TryAgain(
                        f"another run (process {holder}) works in {place}; wait for it, or use --set"
                    ) from error
                time.sleep(_LOOK_S)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _overlay_uncommitted(root: Path, place: Path) -> None:
    changed = _git_or_fail(root, "ls-files", "-z", "--modified", "--others", "--exclude-standard")
    staged = _git_or_fail(root, "diff", "--cached", "--name-only", "-z", "HEAD")
    for name in set(filter(None, (changed + staged).split("\0"))):
        source, target = root / name, place / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        else:
            target.unlink(missing_ok=True)


def _share_cache(root: Path, place: Path) -> None:
    cache = _dvc_cache(root)
    write_file(place / ".dvc" / "config.local", f"[cache]\n    dir = {cache}\n".encode())


def _dvc_cache(root: Path) -> Path:
    import configparser

    for config in (root / ".dvc" / "config.local", root / ".dvc" / "config"):
        parser = configparser.ConfigParser()
        parser.read(config)
        if parser.has_option("cache", "dir"):
            return (config.parent / parser.get("cache", "dir")).resolve()
    return root / ".dvc" / "cache"


def _link_source(root: Path, place: Path, path: str) -> None:
    # A source inside the project that git ignores is not in the worktree; it is read where it stands.
    if not Path(path).is_absolute() and not (place / path).exists() and (root / path).exists():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).symlink_to((root / path).resolve())


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("git is not installed; run `make setup`") from error


def _git_or_fail(root: Path, *arguments: str) -> str:
    result = _git(root, *arguments)
    if result.returncode != 0:
        raise StorageError(f"git {arguments[0]} failed in {root}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
