"""The short way of a stage: to a server that knows its run, before anything else is imported.

DVC starts a process for each stage, and this is most of what that process has to do in a run: so it takes a tenth of a
second less. Whoever has no server yet goes the long way, by `cli/stage.py`, which starts it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pipeline
from pipeline.errors import TryAgain
from pipeline.runtime import processes
from pipeline.runtime.progress import Progress
from pipeline.runtime.warm import client


def take(words: Sequence[str]) -> None:
    """Have the server run the stage that DVC has started here, and end; return if no server knows it.

    `words` are those of the command line: `stage NAME`, or `-c "ratchet stage NAME"`, as DVC gives them to a shell.
    """
    name = _stage_of(words)
    root = Path.cwd()
    if name is None or client.is_forked() or Path(pipeline.__file__).resolve().parents[1] != root:
        return
    driver = processes.die_with_driver()
    progress = Progress(name)
    try:
        path = client.socket_path(root, driver)
        connection = client.connect(path)
        progress.begin()
        progress.await_process()
        code = client.run_stage(path, connection, name)
    except client.NoServer:
        return
    except TryAgain as error:
        progress.fail(str(error), error.exit_code)
        print(f"ratchet: {error}", flush=True)  # noqa: T201
        processes.leave(error.exit_code)
    if code is not None:
        processes.leave(code)


def _stage_of(words: Sequence[str]) -> str | None:
    if words[:1] == ["-c"]:
        os.environ["SHELL"] = processes.SHELL
    told = words[1].split(" ") if len(words) == 2 and words[0] == "-c" else ["ratchet", *words]
    return told[2] if len(told) == 3 and told[:2] == ["ratchet", "stage"] else None
