"""`dvc repro` without DVC's command line: a process that loads DVC, then runs the order on its standard input.

DVC's command line loads all of its commands before it runs one, and Python's finalization afterwards takes time too. A
run in steps pays for both at every stage. This process calls the function behind the command, which does and prints
the same; and it can be started before its order is known, so that DVC loads meanwhile.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from pipeline.runtime import processes

_COMMAND = [sys.executable, "-m", "pipeline.runs.dvc_repro"]
_GARBAGE_THRESHOLD = 200_000  # objects (700 by default): this process is short-lived and frees little
_FAILED = 255
_warm: list[subprocess.Popen[bytes]] = []


def warm_up() -> None:
    """Start the process that the next `start` will use. It ends with this one if it never gets an order."""
    _warm.append(_started())


def start(
    workspace: Path,
    environment: Mapping[str, str],
    log: Path,
    *,
    stage: str | None = None,
    is_single: bool = False,
    is_forced: bool = False,
) -> subprocess.Popen[bytes]:
    """Run `dvc repro` in `workspace`, in the given environment; its output goes to `log`.

    With a `stage`, only that stage and what it needs is run, or with `is_single` only that stage; `is_forced`: even
    what is up to date. A single stage may run beside others and waits for DVC's lock; otherwise DVC gives up after 3 s.
    The process exits with 0, or with 255 after a line that begins with `ERROR:`.
    """
    log.write_bytes(b"")
    process = _warm.pop() if _warm else _started()
    order = {
        "workspace": str(workspace),
        "environment": dict(environment),
        "log": str(log),
        "may_wait": is_single,
        "what": {"targets": stage, "single_item": is_single, "force": is_forced},
    }
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:  # broken: it has ended, which its exit code will tell
        stdin.write(json.dumps(order).encode())
    return process


def _started() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # Until it has its order, its output (that DVC cannot be loaded) goes to our standard error.
    return processes.start(_COMMAND, folder=Path.cwd(), environment=environment, stdin=subprocess.PIPE, output=2)


def main() -> NoReturn:
    """Load DVC, wait for the order, and execute it."""
    import gc
    import logging

    gc.set_threshold(_GARBAGE_THRESHOLD)
    from dvc.repo import Repo
    from dvc.ui import ui
    from dvc.utils.serialize import _common

    _common._dump_data = _dump_aside  # noqa: SLF001 - DVC is pinned, and a test checks that it is still called
    content = sys.stdin.buffer.read()
    if not content:
        processes.leave(0)  # no order: this process is not needed
    order = json.loads(content)
    _become(order)
    ui.enable()
    try:
        with Repo(_wait_for_lock=order["may_wait"]) as repo:
            repo.reproduce(**order["what"])
    except Exception:
        logging.getLogger("dvc").exception("")  # DVC's own handler makes one line of it: ERROR: what: why
        processes.leave(_FAILED)
    processes.leave(0)


def _dump_aside(path: str, data: Any, dumper: Callable[..., None], fs: object = None, **arguments: Any) -> None:  # noqa: ARG001
    """Write a YAML file as DVC does, but atomically.

    DVC truncates the file first: if it is killed before it has written, or the disk is full, it leaves an empty
    dvc.lock, and every later run fails.
    """
    from pipeline.storage.artifacts import write_file

    text = io.StringIO()
    dumper(data, text, **arguments)
    write_file(Path(path), text.getvalue().encode())


def _become(order: Mapping[str, Any]) -> None:
    """Take the folder, environment, outputs and name of a process started for this order alone."""
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["workspace"])
    for path, descriptors in ((os.devnull, (0,)), (order["log"], (1, 2))):
        opened = os.open(path, os.O_RDWR)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["dvc", "repro", order["what"]["targets"] or ""]  # DVC's locks name their holder by its command line


if __name__ == "__main__":
    main()
