"""`ratchet split freeze`: fixes how rows are divided, class by class."""

from __future__ import annotations

import argparse

from pipeline.cli.command import Command, add_actions, project_root, say
from pipeline.errors import StorageError, UsageError


def _fill(command: argparse.ArgumentParser) -> None:
    actions = add_actions(command)
    freeze = actions.add_parser(
        "freeze", help="write the thresholds of each class, which no growth of the data moves", description=_FREEZE
    )
    freeze.add_argument("--new", action="store_true", help="make the file that split.frozen names, if it is not there")
    freeze.set_defaults(handler=_freeze)


def _freeze(options: argparse.Namespace) -> int:
    from pipeline import graph
    from pipeline.data.freezing import freeze
    from pipeline.data.frozen_split import FOLDER, file_of, find_frozen, not_there
    from pipeline.recipe.fitting import require_freezable
    from pipeline.recipe.resolving import load_checked
    from pipeline.storage.artifacts import write_file

    root = project_root()
    recipe = load_checked(root)
    params = recipe.split
    if params.method in ("hash", "grouped"):
        raise UsageError(
            f"split.method {params.method} has the shares as thresholds, which never move: there is nothing to freeze"
        )
    require_freezable(recipe)
    name = params.frozen or recipe.name
    before = find_frozen(root / FOLDER, name)
    if before is None and params.frozen and not options.new:
        raise not_there(params.frozen)
    if before and options.new:
        raise UsageError(f"--new: {file_of(name)} is there; to divide anew, name another in split.frozen")
    if before:
        before.require_made_from(params, recipe.data.classes, name)
    maker = graph.load_graph(root).maker("kept")
    if maker is None or not (root / maker.makes["kept"]).is_dir():
        command = f"ratchet run --until {maker.name}" if maker else "ratchet run"
        raise StorageError(f"there are no kept rows yet to freeze the split of; first: `{command}`")
    found = freeze(
        root / maker.makes["kept"], classes=recipe.data.classes, params=params, seed=recipe.seed, before=before
    )
    if found.added:
        (root / FOLDER).mkdir(exist_ok=True)
        write_file(root / file_of(name), found.split.text.encode())
        what = found.split.holds
        say(f"{file_of(name)}: {len(found.added)} {what} added; {found.moved} of {found.rows} rows change their part")
    elif recipe.data.classes and params.method != "time":
        say(f"{file_of(name)}: has all {len(recipe.data.classes)} classes already; nothing is changed")
    else:
        say(f"{file_of(name)}: has its {found.split.holds} already; nothing is changed")
    if before and (other := before.seed_in_force(recipe.seed, name)):
        say(other)
    say("commit it" if params.frozen else f"commit it, and set split.frozen: {name} in params.yaml")
    return 0


_FREEZE = (
    "Divides the rows that are there into the exact shares, class by class, or bin by bin of a number, and writes the "
    "thresholds to splits/<name>.yaml; of a split by time its two instants. What stands there already stays: only "
    "classes that are new are added."
)
COMMAND = Command("split", "fix how rows are divided, for good", "  ratchet split freeze", _fill)
