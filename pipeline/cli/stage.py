"""`ratchet stage`: run one stage, as dvc.yaml does."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pipeline
from pipeline.cli.bugs import BUG_EXIT_CODE, as_bug
from pipeline.cli.command import Command, project_root, require_known_variables
from pipeline.errors import RatchetError, UsageError, as_full_disk

SHELL = "/bin/sh"
_GARBAGE_THRESHOLD = 100_000  # objects (700 by default): most of what a stage makes are libraries' objects, which stay
_STAGE_COMMAND = re.compile(r"ratchet stage (?P<name>[\w.@-]+)")  # nothing in it that a shell would read otherwise


def without_shell(words: list[str]) -> list[str]:
    """Return a command's words, without the `-c` of a stage command that DVC runs through its shell.

    In our runs that shell is this very program (see `runs/reproduction.py`), so no shell runs between DVC and a stage.
    Any other command than `ratchet stage NAME` is left to /bin/sh.
    """
    if words[:1] == ["-c"] and len(words) == 2:
        os.environ["SHELL"] = SHELL  # what this program starts wants a shell that is one
        if command := _STAGE_COMMAND.fullmatch(words[1]):
            return ["stage", command["name"]]
        os.execv(SHELL, [SHELL, "-c", words[1]])  # noqa: S606 - what dvc.yaml says, as DVC itself would run it
    return words


def _fill_stage(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="a stage of dvc.yaml")
    command.set_defaults(handler=_stage)


def _stage(options: argparse.Namespace) -> int:
    import gc
    import importlib

    from pipeline.recipe.execution import load_execution
    from pipeline.runtime import memory, processes, surroundings
    from pipeline.stages.context import StageContext

    root = project_root()
    require_known_variables()
    if options.is_own_process:
        gc.set_threshold(_GARBAGE_THRESHOLD)
        surroundings.enter(root, load_execution(root).environment.pass_on)
    if "DVC_STAGE" in os.environ:
        processes.die_with_driver()
    _require_code_of(root)
    context = StageContext.load(root, options.name)
    context.progress.begin()
    context.watch_imports()
    try:
        summary = importlib.import_module(f"pipeline.stages.{options.name}").run(context)
        context.check_imports()
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


def _require_code_of(root: Path) -> None:
    code = Path(pipeline.__file__).resolve().parent
    if code != (root / "pipeline").resolve():
        raise UsageError(
            f"this `ratchet` runs the code in {code}, but the folder is {root}: use that folder's own .venv, "
            f"or set PYTHONPATH={root}"
        )


COMMAND = Command("stage", "run one stage, as dvc.yaml does", "  ratchet stage clean\n  dvc repro clean", _fill_stage)
