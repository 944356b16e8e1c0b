"""`dvc repro` by the short way: a process that loads DVC, and then does what it is told on its standard input.

DVC's command line loads all of its commands before it runs one, and Python takes everything apart when it has. A run
in steps pays for both at every stage. This process calls the function behind the command, which says and does the same;
and it can be started before it is known what it will have to do, so that it loads while that is found out.
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
_OBJECTS_BEFORE_A_LOOK = 200_000  # for garbage: a short life that makes much and drops little (700 by default)
_FAILED = 255
_warm: list[subprocess.Popen[bytes]] = []


def warm_up() -> None:
    """Start the process that the next `start` will use. It ends with this one, if it never gets an order."""
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
    """Have `dvc repro` run in `workspace`, in an environment of its own; what it says goes to `log`.

    With a `stage`, only what it needs is run, or with `is_single` only itself; `is_forced`: even what is up to date.
    A stage alone may have others beside it and waits for its turn at DVC's lock; anybody else is told after 3 s.
    The process leaves with 0, or with 255 after a line that begins with `ERROR:`.
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
    with suppress(BrokenPipeError), process.stdin as its_input:  # broken: it has ended, as whoever waits for it learns
        its_input.write(json.dumps(order).encode())
    return process


def _started() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # Until it has its order, what it says (that DVC cannot be loaded) is said where we say it.
    return processes.start(_COMMAND, folder=Path.cwd(), environment=environment, stdin=subprocess.PIPE, output=2)


def main() -> NoReturn:
    """Load DVC, wait for the order, and carry it out."""
    import gc
    import logging

    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)
    from dvc.repo import Repo
    from dvc.ui import ui
    from dvc.utils.serialize import _common

    _common._dump_data = _dump_aside  # noqa: SLF001 - DVC is pinned, and a test sees whether it is still called
    content = sys.stdin.buffer.read()
    if not content:
        processes.leave(0)  # nobody needs us
    order = json.loads(content)
    _become(order)
    ui.enable()
    try:
        with Repo(_wait_for_lock=order["may_wait"]) as repo:
            repo.reproduce(**order["what"])
    except Exception:
        logging.getLogger("dvc").exception("")  # DVC's own handler makes its one line of it: ERROR: what: why
        processes.leave(_FAILED)
    processes.leave(0)


def _dump_aside(path: str, data: Any, dumper: Callable[..., None], fs: object = None, **arguments: Any) -> None:  # noqa: ARG001
    """Write a YAML file as DVC does, but replace it as a whole or not at all.

    DVC empties the file first: killed in the moment that it then takes, or on a full disk, it would leave an
    empty dvc.lock, and every later run would fail.
    """
    from pipeline.storage.artifacts import write_file

    text = io.StringIO()
    dumper(data, text, **arguments)
    write_file(Path(path), text.getvalue().encode())


def _become(order: Mapping[str, Any]) -> None:
    """Take folder, environment, outputs and name of the process that would have been started for the order alone."""
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["workspace"])
    for path, descriptors in ((os.devnull, (0,)), (order["log"], (1, 2))):
        opened = os.open(path, os.O_RDWR)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["dvc", "repro", order["what"]["targets"] or ""]  # DVC's locks name their holder by it


if __name__ == "__main__":
    main()
