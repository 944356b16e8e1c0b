"""`ratchet gc`: frees what no run, registered version or lock needs."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, project_root, say
from pipeline.runtime.progress import Throttle

if TYPE_CHECKING:
    from pipeline.runs.garbage import Garbage

_QUIET_S = 2.0  # what takes less is not spoken of


def _fill_gc(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="free it; without, only say what would be freed")
    command.add_argument(
        "--project",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="another project that shares DVC's cache, which needs what it needs; once for each",
    )
    command.set_defaults(handler=_gc)


def _gc(options: argparse.Namespace) -> int:
    from pipeline.cli.run_text import number, size
    from pipeline.runs import garbage

    projects = garbage.projects_of(project_root(), options.project)
    throttle = Throttle(_QUIET_S)
    throttle.is_due()

    def announce(progress: str) -> None:
        if throttle.is_due():
            say(progress)

    with garbage.standing_still(projects) if options.yes else nullcontext():
        found = garbage.find(projects, announce)
        _say_needed(found)
        if not found.objects:
            say("nothing to free")
            return 0
        _say_found(found)
        if not options.yes:
            say("nothing is freed yet: give the same command with --yes")
            return 0
        freed_bytes = garbage.free(found, announce)
    say(f"freed {number(len(found.objects), 'object')}, {size(freed_bytes)}")
    return 0


def _say_needed(found: Garbage) -> None:
    from pipeline.cli.run_text import number

    sources = ", ".join(number(count, source) for source, count in found.needed.sources.items() if count)
    say(f"asked what they need: {', '.join(filter(None, (sources, 'DVC')))}")
    if found.young:
        say(f"spared: {number(found.young, 'object')} of the last hour, which may be in use already")


def _say_found(found: Garbage) -> None:
    from pipeline.cli.run_text import number, size

    say(f"not needed in {found.cache.folder}:")
    for kind in found.kinds:
        count, size_bytes = found.of(kind)
        say(f"  {kind:11}  {number(count, 'object'):>16}  {size(size_bytes):>10}")


COMMAND = Command(
    "gc",
    "free what no run, registered version or lock needs, from DVC's cache and the photographs",
    "  ratchet gc\n  ratchet gc --yes\n  ratchet gc --project ../other --yes",
    _fill_gc,
)
