"""`ratchet fetch`: bring the folder of a source up to date with its address."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipeline.cli.command import Command, project_root, say
from pipeline.errors import UsageError


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="a file in configs/: its source, not params.yaml's"
    )
    command.set_defaults(handler=_fetch)


def _fetch(options: argparse.Namespace) -> int:
    from pipeline.runs.mirroring import bring

    root = project_root()
    done = bring(root, os.path.relpath(options.config, root) if options.config else None, {})
    if done is None:
        where = options.config or "params.yaml"
        raise UsageError(f"{where}: has no data.address, so there is nothing to fetch: data.path is what it is")
    say(f"source: {done}")
    return 0


COMMAND = Command(
    "fetch",
    "bring the folder of the source up to date with its address, as each run does",
    "  ratchet fetch\n  ratchet fetch --config configs/photos.yaml",
    _fill,
)
