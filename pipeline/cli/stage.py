"""`ratchet stage`: run one stage, as dvc.yaml does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pipeline
from pipeline.cli.bugs import BUG_EXIT_CODE, as_bug
from pipeline.cli.command import Command, project_root, require_known_variables
from pipeline.errors import RatchetError, UsageError, as_full_disk
from pipeline.runtime import processes

_GARBAGE_THRESHOLD = 100_000  # objects (700 by default): most of what a stage makes are libraries' objects, which stay


def _fill_stage(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="a stage of dvc.yaml")
    command.set_defaults(handler=_stage)


def _stage(options: argparse.Namespace) -> int:
    import gc
    import importlib

    from pipeline.recipe.execution import load_execution
    from pipeline.runtime import memory, surroundings
    from pipeline.runtime.warm.client import is_forked
    from pipeline.stages.context import StageContext

    root = project_root()
    require_known_variables()
    if options.is_own_process:
        gc.set_threshold(_GARBAGE_THRESHOLD)
        surroundings.enter(root, load_execution(root).environment.pass_on)
    _require_code_of(root)
    if "DVC_STAGE" in os.environ and not is_forked():
        driver = processes.die_with_driver()
        code = _handed_over(root, options.name, driver)
        if code is not None:
            processes.leave(code)
    context = StageContext.load(root, options.name)
    context.watch_imports()
    try:
        module = importlib.import_module(f"pipeline.stages.{options.name}")
        if is_forked():  # its client has begun
            context.progress.has_process()
        else:
            context.progress.begin()
        summary = module.run(context)
        context.check_imports()
        context.check_rows()
    except RatchetError as error:
        context.progress.fail(str(error), error.exit_code)
        raise
    except Exception as error:
        if full := as_full_disk(error):
            context.progress.fail(str(full), full.exit_code)
            raise full from error
        context.progress.fail(as_bug(error), BUG_EXIT_CODE)
        raise
    context.progress.finish(summary, **memory.peaks())
    if "DVC_STAGE" in os.environ:
        processes.leave(0)
    return 0


def _handed_over(root: Path, name: str, driver: int) -> int | None:
    """Have the server of the run run the stage; return its exit code, or None if this process is to run it.

    `driver` is DVC's process, with which a server ends that is started here.
    """
    from pipeline.graph import load_graph
    from pipeline.recipe.execution import load_execution
    from pipeline.runtime.evidence import evidence_folder
    from pipeline.runtime.warm import client, planning

    graph, execution = load_graph(root), load_execution(root)
    needs = graph[name].warm
    if not execution.server.enabled or (not needs.libraries and needs.ahead is None):
        return None
    try:
        path = client.socket_path(root, driver)
        connection = client.connect_or_start(path, evidence_folder() / client.LOG_NAME, execution.server.idle_s)
        return client.run_stage(path, connection, name, planning.plan(root, graph, execution))
    except client.NoServer as error:
        print(f"{name}: nothing is ready for it: {error}", flush=True)  # noqa: T201
        return None


def _require_code_of(root: Path) -> None:
    code = Path(pipeline.__file__).resolve().parent
    if code != (root / "pipeline").resolve():
        raise UsageError(
            f"this `ratchet` runs the code in {code}, but the folder is {root}: use that folder's own .venv, "
            f"or set PYTHONPATH={root}"
        )


COMMAND = Command("stage", "run one stage, as dvc.yaml does", "  ratchet stage clean\n  dvc repro clean", _fill_stage)
