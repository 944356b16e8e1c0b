"""`ratchet init`: from data to a config and contracts that a person edits."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipeline import graph
from pipeline.cli.command import Command, pairs, project_root, require_known_variables, say


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument("path", type=Path, metavar="PATH", help="the folder, or the archive, that holds the data")
    command.add_argument("--name", help="of the config, the contracts and the model; as a rule, the folder's")
    command.add_argument("--source", metavar="NAME", help="what reads it: a file in pipeline/data/sources/")
    command.add_argument(
        "--setting", action="append", default=[], metavar="KEY=VALUE", help="of the source, like below=set/images"
    )
    command.set_defaults(handler=_init)


def _init(options: argparse.Namespace) -> int:
    from pipeline.doctor.examine import require_java
    from pipeline.drafting.init import init
    from pipeline.drafting.places import places_of
    from pipeline.drafting.writing import Request
    from pipeline.recipe.execution import load_execution
    from pipeline.recipe.resolving import load_checked
    from pipeline.recipe.strict_yaml import parse_yaml_value
    from pipeline.runs.preflight import check_source
    from pipeline.runtime.progress import Progress

    root = project_root()
    require_known_variables()
    recipe = load_checked(root)
    path = Path(os.path.abspath(options.path))  # noqa: PTH100 - links stay as they are named
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    given = pairs(options.setting, "--setting", "below=set/images")
    settings = {key: parse_yaml_value(text, f"--setting {key}") for key, text in given.items()}
    request = Request(root, path, shown, places_of(path, options.name), options.source, settings)
    check_source(root, graph.load_graph(root), shown, None)
    require_java()
    for line in init(request, recipe, load_execution(root).spark, Progress("init")):
        say(line)
    return 0


COMMAND = Command(
    "init",
    "look at data of your own, and draft its config and contracts for you to edit",
    "  ratchet init photographs\n  ratchet init ~/archives/leaves.zip --name leaves\n"
    "  ratchet init leaves.tar.gz --setting below=set/images",
    _fill,
)
