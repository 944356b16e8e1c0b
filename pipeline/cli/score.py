"""`ratchet score`: the champion's answers to every row of a source, in Parquet."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipeline.cli.command import Command, project_root, require_known_variables, say


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument("input", type=Path, metavar="INPUT", help="what the source reads: a folder, or a file")
    command.add_argument("output", type=Path, metavar="OUTPUT", help="a folder that is not there yet, for the answers")
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="a file in configs/: its source and model, not params.yaml's"
    )
    command.add_argument(
        "--model",
        metavar="NAME[@VERSION]",
        help="a version of the registry (default: the champion of the recipe's name)",
    )
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
    done = score(root, ScoreOptions(options.input, options.output, config, options.model), Progress("score"))
    say(str(done))
    return 0


COMMAND = Command(
    "score",
    "score every row of a source by the champion, into Parquet",
    "  ratchet score new/pictures scores/2026-11-30\n"
    "  ratchet score flights.csv scores/flights --config configs/flights_late.yaml --model flights_late@3",
    _fill,
)
