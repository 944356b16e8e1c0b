"""The short way of a stage: to a server that knows its run, before anything else is imported.

DVC starts a process for each stage, and this is most of what that process has to do in a run: so it takes a tenth of a
second less. Whoever has no server yet goes the long way, by `cli/stage.py`, which starts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pipeline
from pipeline.errors import TryAgain
from pipeline.runtime import processes
from pipeline.runtime.shell import without_shell
from pipeline.runtime.warm import client


def take(words: Sequence[str]) -> None:
    """Have the server run the stage that DVC has started here, and end; return if no server knows it.

    `words` are those of the command line.
    """
    root = Path.cwd()
    match without_shell(list(words)):
        case ["stage", name]:
            pass
        case _:
            return
    if client.is_forked() or Path(pipeline.__file__).resolve().parents[1] != root:
        return
    driver = processes.die_with_driver()
    try:
        path = client.socket_path(root, driver)
        code = client.run_stage(path, client.connect(path), name)
    except client.NoServer:
        return
    except TryAgain as error:
        print(f"ratchet: {error}", flush=True)  # noqa: T201
        processes.leave(error.exit_code)
    if code is not None:
        processes.leave(code)
