"""`ratchet init`: from data to a config and contracts that a person edits."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from pipeline import graph
from pipeline.cli.command import Command, pairs, project_root, require_known_variables, say

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")  # any: which of them can be read is the mirror's to say
_MIRRORS = "data/sources"


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "path", metavar="PATH", help="the folder, or the archive, that holds the data; or its address: s3://BUCKET/…"
    )
    command.add_argument("--name", help="of the config, the contracts and the model; as a rule, the folder's")
    command.add_argument("--source", metavar="NAME", help="what reads it: a file in pipeline/data/sources/")
    command.add_argument("--target", metavar="COLUMN", help="of a table: what is to be predicted")
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
    from pipeline.runs.mirroring import bring_from
    from pipeline.runs.preflight import check_source
    from pipeline.runtime.progress import Progress

    root = project_root()
    require_known_variables()
    recipe = load_checked(root)
    address = options.path if _ADDRESS.match(options.path) else None
    places = places_of(Path(options.path), options.name)
    if address:
        places.require_free(root)
        print(f"source: {bring_from(root, address, f'{_MIRRORS}/{places.name}')}", file=sys.stderr, flush=True)  # noqa: T201
    named = root / _MIRRORS / places.name if address else options.path
    path = Path(os.path.abspath(named))  # noqa: PTH100 - links stay as they are named
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    given = pairs(options.setting, "--setting", "below=set/images")
    settings = {key: parse_yaml_value(text, f"--setting {key}") for key, text in given.items()}
    request = Request(root, path, shown, places, options.source, settings, address, options.target)
    check_source(root, graph.load_graph(root), shown, None)
    require_java()
    for line in init(request, recipe, load_execution(root).spark, Progress("init")):
        say(line)
    return 0


COMMAND = Command(
    "init",
    "look at data of your own, and draft its config and contracts for you to edit",
    "  ratchet init photographs\n  ratchet init houses.csv --target price\n"
    "  ratchet init ~/archives/leaves.zip --name leaves\n"
    "  ratchet init leaves.tar.gz --setting below=set/images\n  ratchet init s3://herbarium/leaves",
    _fill,
)
