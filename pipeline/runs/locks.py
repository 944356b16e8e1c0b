"""Locks: which process may work in a run's folder. The kernel releases them when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.errors import StorageError, TryAgain
from pipeline.runs.workspaces import RUN_LOCK, WORK, stage_folder

_MAKER_LOCK = "workspaces.lock"
_PAGE_LOCK = "champions.lock"
_MIRROR_LOCK = "mirror.lock"
_SAME_WORK = "same_work"
_MAKING_S = 600.0  # a checkout on a slow disk, several times
_PAGE_S = 60.0  # a registry that answers slowly, several times
_POLL_S = 0.1
_QUIET_S = 2.0  # a wait that is longer is announced
_FOREVER_S = float("inf")
_DIGITS = 32


@contextmanager
def run_lock(workspace: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a folder's run lock: two runs at once in one workspace are not possible.

    Raises TryAgain if another process still holds it after `patience_s`.
    """
    with _held(workspace, workspace / WORK / RUN_LOCK, patience_s=patience_s):
        yield


@contextmanager
def stage_lock(workspace: Path, stage: str, *, patience_s: float = 0.0) -> Iterator[None]:
    """Lock a folder for one stage of its run: other stages, whose paths DVC keeps apart, may run beside it.

    Raises TryAgain if a whole run, or the same stage, still works there after `patience_s`.
    """
    with (
        _held(workspace, workspace / WORK / RUN_LOCK, is_shared=True, patience_s=patience_s),
        _held(workspace, stage_folder(workspace, stage) / "lock", patience_s=patience_s),
    ):
        yield


@contextmanager
def maker_lock(root: Path) -> Iterator[None]:
    """Hold the lock for checking whether a workspace exists and making it; raise TryAgain if it stays held too long."""
    with _held(root, root / WORK / _MAKER_LOCK, patience_s=_MAKING_S):
        yield


@contextmanager
def mirror_lock(root: Path) -> Iterator[None]:
    """Hold the lock for bringing a source up to date with its address: who comes second waits, and finds it done."""
    says = "waiting: another run brings the source"
    with _held(root, root / WORK / _MIRROR_LOCK, patience_s=_FOREVER_S, announcement=says):
        yield


@contextmanager
def page_lock(root: Path) -> Iterator[None]:
    """Hold the lock for reading the registry and writing the page on it; raise TryAgain if it stays held too long."""
    with _held(root, root / WORK / _PAGE_LOCK, patience_s=_PAGE_S):
        yield


@contextmanager
def same_work_lock(root: Path, inputs: str, stage: str | None = None) -> Iterator[None]:
    """Hold the lock of all work on the same inputs, or of one stage's: other stages may run beside that.

    Who comes second waits, as long as it takes, and then finds the result in DVC's cache.
    """
    folder = root / WORK / _SAME_WORK / inputs.rpartition(":")[2][:_DIGITS]
    says = f"waiting: another run does the same work{f' in stage {stage}' if stage else ''}"
    with ExitStack() as locks:
        whole = _held(root, folder / RUN_LOCK, is_shared=stage is not None, patience_s=_FOREVER_S, announcement=says)
        locks.enter_context(whole)
        if stage is not None:
            locks.enter_context(_held(root, folder / stage, patience_s=_FOREVER_S, announcement=says))
        yield


def is_run_going_on(workspace: Path) -> bool:
    """Return whether a process holds a folder's run lock; false if there is no lock file."""
    return _is_held(workspace / WORK / RUN_LOCK)


def is_same_work_going_on(root: Path) -> bool:
    """Return whether a process holds the lock of any work on the same inputs, a run's or a stage's."""
    return any(_is_held(path) for path in sorted((root / WORK / _SAME_WORK).glob("*/*")))


def _is_held(path: Path) -> bool:
    try:
        with path.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def _held(
    workspace: Path, path: Path, *, is_shared: bool = False, patience_s: float = 0.0, announcement: str = ""
) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    except OSError as error:
        raise StorageError(
            f"{path.parent}: cannot be written: {error.strerror}; run in a folder of your own"
        ) from error
    began_s = time.monotonic()
    with handle:
        while True:
            try:
                kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
                fcntl.flock(
                    handle, kind | fcntl.LOCK_NB
                )  # the kernel releases it when the process ends, however it ends
                break
            except BlockingIOError as error:
                waited_s = time.monotonic() - began_s
                if announcement and waited_s > _QUIET_S:
                    print(announcement, flush=True)  # noqa: T201
                    announcement = ""
                if waited_s >= patience_s:
                    handle.seek(0)
                    holder = handle.read().strip() or "unknown"
                    raise TryAgain(
                        f"another run (process {holder}) works in {workspace}; wait for it, or use --set"
                    ) from error
                time.sleep(_POLL_S)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
