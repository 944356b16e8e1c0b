"""`ratchet registry`: look at the published models and their ledger, promote one by hand, or roll back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, add_actions, add_json, project_root, say

if TYPE_CHECKING:
    from pipeline.records.verdict import Matched
    from pipeline.registry.store import Store


def _fill_registry(command: argparse.ArgumentParser) -> None:
    actions = add_actions(command)
    listing = actions.add_parser("list", help="all versions, newest first")
    add_json(listing)
    listing.set_defaults(handler=_list)
    showing = actions.add_parser("show", help="one version: its figures and where it comes from")
    showing.add_argument("version", nargs="?", default="champion", help="a version number or an alias (champion)")
    add_json(showing)
    showing.set_defaults(handler=_show)
    carding = actions.add_parser("card", help="the model card of one version, as Markdown")
    carding.add_argument("version", nargs="?", default="champion", help="a version number or an alias (champion)")
    add_json(carding)
    carding.set_defaults(handler=_card)
    reading = actions.add_parser("ledger", help="every verdict that was given, oldest first")
    add_json(reading)
    reading.set_defaults(handler=_ledger)
    promoting = actions.add_parser("promote", help="make a version the champion by hand; kept with who, when and why")
    promoting.add_argument("version", help="a version number")
    promoting.add_argument("--reason", required=True, help="why the gate is overridden; kept with the version")
    promoting.add_argument(
        "--anchor",
        action="store_true",
        help="hold later candidates to this version too (default: the anchor stays); it may be the champion",
    )
    promoting.set_defaults(handler=_promote)
    rolling = actions.add_parser("rollback", help="make the previous champion the champion again")
    rolling.add_argument("--to", metavar="VERSION", help="an earlier champion instead of the previous one")
    rolling.add_argument("--reason", required=True, help="why; kept with the version")
    rolling.set_defaults(handler=_rollback)
    for action in (listing, showing, carding, reading, promoting, rolling):
        action.add_argument("--name", help="registered model (default: the recipe's name)")


def _store_and_name(options: argparse.Namespace) -> tuple[Store, str]:
    from pipeline.recipe.execution import load_execution
    from pipeline.recipe.recipe import load_recipe
    from pipeline.registry.store import resolve_store

    root = project_root()
    return resolve_store(root, load_execution(root).mlflow), options.name or load_recipe(root).name


def _list(options: argparse.Namespace) -> int:
    from pipeline.registry import by_hand

    store, name = _store_and_name(options)
    versions = by_hand.list_versions(store, name)[::-1]
    if options.json:
        say(json.dumps([version.to_json() for version in versions], indent=2))
    elif not versions:
        say(f"{name}: nothing published yet")
    for version in versions if not options.json else ():
        say(
            f"v{version.version:<4} {', '.join(version.aliases):10}  {version.outcome:8}  "
            f"{_primary(version.metrics):16}  "
            f"{version.digest[:19]}  {version.created_at_utc}"
        )
    return 0


def _primary(metrics: Mapping[str, float]) -> str:
    """Return the primary figure in words: it is registered before all others, but for the number of rows."""
    from pipeline.records.metrics import ROWS

    found = next(((name, value) for name, value in metrics.items() if name != ROWS), None)
    return f"{found[0].replace('_', ' ')} {found[1]:.4f}" if found else ""


def _show(options: argparse.Namespace) -> int:
    from pipeline.registry import by_hand

    store, name = _store_and_name(options)
    version = by_hand.show(store, name, options.version).to_json()
    if options.json:
        say(json.dumps(version, indent=2))
        return 0
    for key, value in version.items():
        say(f"{key:16}  {json.dumps(value) if isinstance(value, dict | list) else value}")
    return 0


def _card(options: argparse.Namespace) -> int:
    from pipeline.registry import by_hand
    from pipeline.report.card_files import markdown

    store, name = _store_and_name(options)
    card = by_hand.card(store, name, options.version)
    say(json.dumps(card.to_json(), indent=2) if options.json else markdown(card).decode().rstrip("\n"))
    return 0


def _ledger(options: argparse.Namespace) -> int:
    from pipeline.registry import ledger
    from pipeline.registry.reader import open_reader

    store, name = _store_and_name(options)
    lines = ledger.read(open_reader(store), name)
    if options.json:
        say(json.dumps([line.to_json() for line in lines], indent=2))
    elif not lines:
        say(f"{name}: no verdict yet")
    for line in lines if not options.json else ():
        say(
            f"{line.number:<5} {line.outcome:7}  {line.candidate[:19]}  against {_met(line.champion)}, "
            f"anchor {_met(line.anchor)}  {_beside(line.against_champion)}  {line.at_utc}  {line.by}"
        )
    return 0


def _met(digest: str | None) -> str:
    return digest[:19] if digest else "nobody"


def _beside(matched: Matched | None) -> str:
    return f"won {matched.won}, lost {matched.lost} of {matched.rows} rows" if matched else ""


def _promote(options: argparse.Namespace) -> int:
    from pipeline.registry import by_hand
    from pipeline.runs.champions_page import write_champions

    store, name = _store_and_name(options)
    say(by_hand.promote(store, name, options.version, reason=options.reason, is_anchor=options.anchor))
    write_champions(project_root())
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from pipeline.registry import by_hand
    from pipeline.runs.champions_page import write_champions

    store, name = _store_and_name(options)
    say(by_hand.rollback(store, name, reason=options.reason, to=options.to))
    write_champions(project_root())
    return 0


COMMAND = Command(
    "registry",
    "look at the published models and their ledger, promote one by hand, or roll back",
    "  ratchet registry list --json\n  ratchet registry show champion\n  ratchet registry card 3\n"
    "  ratchet registry ledger\n"
    '  ratchet registry promote 3 --reason "approved by the on-call"\n'
    '  ratchet registry rollback --reason "worse on the new cameras"',
    _fill_registry,
)
