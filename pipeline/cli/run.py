"""`ratchet run`: bring the graph up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import graph
from pipeline.cli.command import Command, pairs, project_root, relative, require_known_variables, say

if TYPE_CHECKING:
    from pipeline.runs.in_one_process import RunResult


def _fill_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="a file in configs/: recipe changes for this run")
    command.add_argument("--force", action="store_true", help="run every stage, even what is up to date")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override the recipe for this run"
    )
    command.add_argument(
        "--execution", action="append", default=[], metavar="KEY=VALUE", help="override execution.yaml for this run"
    )
    command.add_argument("--until", metavar="STAGE", help="stop after this stage: nothing is judged or published")
    command.set_defaults(handler=_run)


def _values(texts: Sequence[str]) -> dict[str, Any]:
    from pipeline.recipe.strict_yaml import parse_yaml_value

    return {key: parse_yaml_value(text, f"--set {key}") for key, text in pairs(texts, "--set").items()}


def _run(options: argparse.Namespace) -> int:
    from pipeline.runs import in_one_process

    root = project_root()
    require_known_variables()
    request = in_one_process.RunOptions(
        options.config,
        _values(options.set),
        pairs(options.execution, "--execution"),
        is_forced=options.force,
        until=options.until,
    )
    result = in_one_process.run(root, request)
    if options.config:
        _tell_competitors(root, options.config)
    if result.is_unchanged:
        say(f"nothing changed: {len(graph.load_graph(root).stages)} stages up to date")
    say_result(result)
    return 0


def _tell_competitors(root: Path, config: Path) -> None:
    """Say so if another config publishes under the same model name: both would replace one champion."""
    from pipeline.recipe.configs import CONFIGS, competing, models

    found = models(root)
    own = found.get(f"{CONFIGS}/{config.name}")
    for line in competing({file: model for file, model in found.items() if model == own}):
        print(f"warning: {line}", file=sys.stderr, flush=True)  # noqa: T201


def say_result(result: RunResult) -> None:
    """Print what came of a run."""
    from pipeline.runs.outcome import NO_VERDICT

    verdict, registration = result.verdict, result.registration
    if result.sentence:
        say(result.sentence)
        return
    say(f"verdict: {verdict.outcome.upper()}  {verdict.reason}" if verdict else f"verdict: none: {NO_VERDICT}")
    if registration:
        say(f"registry: {registration.sentence}")
    say(f"report: {relative(result.page)}")


COMMAND = Command(
    "run",
    "bring the graph up to date: train, judge and, if the gate lets it, publish",
    "  ratchet run\n  ratchet run --set train.epochs=3 --set train.learning_rate=1e-3\n"
    "  ratchet run --config configs/fashion_mnist_full.yaml --execution horovod.workers=4",
    _fill_run,
)
