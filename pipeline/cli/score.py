"""`ratchet score`: the champion's answers to every row of a source, in Parquet."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pipeline.cli.command import Command, project_root, require_known_variables, say

_LOG = Path(".ratchet") / "score.log"


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument("input", type=Path, metavar="INPUT", help="what the source reads: a folder, or a file")
    command.add_argument("output", type=Path, metavar="OUTPUT", help="a folder that is not there yet, for the answers")
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="a file in configs/: its source and model, not params.yaml's"
    )
    command.add_argument(
        "--by-version",
        action="store_true",
        help="the answers of each version in a folder of its own in OUTPUT: NAME-v3",
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        metavar="NAME[@VERSION]",
        help="a version of the registry (default: the champion of the recipe's name)",
    )
    which.add_argument("--served", type=Path, metavar="FOLDER", help="a served folder (ratchet export) instead")
    command.set_defaults(handler=_score)


def _score(options: argparse.Namespace) -> int:
    from pipeline.recipe.execution import load_execution
    from pipeline.runtime import surroundings
    from pipeline.runtime.progress import Progress
    from pipeline.scoring.score import ScoreOptions, score

    root = project_root()
    require_known_variables()
    if options.is_own_process:  # what somebody set for another program decides no bit here either
        surroundings.enter(root, load_execution(root).environment.pass_on)
    config = os.path.relpath(options.config, root) if options.config else None
    asked = ScoreOptions(options.input, options.output, config, options.model, options.served, options.by_version)
    with _libraries_aside(root / _LOG) if options.is_own_process else nullcontext():
        done = score(root, asked, Progress("score"))
    say(str(done))
    return 0


@contextmanager
def _libraries_aside(log: Path) -> Iterator[None]:
    """Have what Spark and TensorFlow say go to a file, as in a run; what this program says goes where it did."""
    log.parent.mkdir(exist_ok=True)
    own, stderr = os.dup(2), sys.stderr
    with os.fdopen(own, "w", buffering=1) as stream, log.open("wb") as file:
        os.dup2(file.fileno(), 2)
        sys.stderr = stream
        try:
            yield
        finally:
            os.dup2(own, 2)
            sys.stderr = stderr


COMMAND = Command(
    "score",
    "score every row of a source by the champion, into Parquet",
    "  ratchet score new/pictures scores/2026-11-30\n"
    "  ratchet score flights.csv scores/flights --config configs/flights_late.yaml --model flights_late@3",
    _fill,
)
