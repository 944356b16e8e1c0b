"""`ratchet runs`: look at the runs so far; drive one in steps, as Airflow does."""

from __future__ import annotations

import argparse
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.cli.command import Command, add_actions, add_json, pairs, project_root, say
from pipeline.cli.run import say_result
from pipeline.records.run import RunRecord


def _fill_runs(command: argparse.ArgumentParser) -> None:
    actions = add_actions(command)
    listing = actions.add_parser("list", help="all runs, newest first")
    add_json(listing)
    listing.set_defaults(handler=_list)
    showing = actions.add_parser("show", help="one run: what it was asked, what it began with, what came of it")
    showing.add_argument("id", metavar="ID")
    showing.add_argument("--attempt", type=int, metavar="N", help="another attempt than the latest")
    showing.set_defaults(handler=_show)
    comparing = actions.add_parser("compare", help="what differs between two runs")
    comparing.add_argument("a", metavar="A")
    comparing.add_argument("b", metavar="B")
    comparing.set_defaults(handler=_compare)
    for action in (showing, comparing):
        add_json(action)
    deleting = actions.add_parser("delete", help="say what deleting runs would remove; with --yes, delete them")
    deleting.add_argument("ids", nargs="+", metavar="ID")
    deleting.add_argument("--yes", action="store_true", help="delete")
    deleting.set_defaults(handler=_delete)
    opening = actions.add_parser("open", help="begin a run that is driven in steps, or open it again")
    opening.add_argument("request", type=Path, metavar="FILE", help="the request, as JSON; - for standard input")
    opening.add_argument("--anew", action="store_true", help="a run of that id was deleted: begin as a new one does")
    opening.set_defaults(handler=_open)
    staging = actions.add_parser("stage", help="bring one stage of an open run up to date")
    staging.add_argument("id", metavar="ID")
    staging.add_argument("name", metavar="STAGE")
    staging.set_defaults(handler=_stage)
    closing = actions.add_parser("close", help="end an open run: keep what it made, remove its workspace")
    closing.add_argument("id", metavar="ID")
    closing.add_argument("--state", choices=("success", "failed"), required=True, help="how it ended")
    closing.add_argument("--because", default="", metavar="TEXT", help="why, in one line")
    closing.set_defaults(handler=_close)
    repeating = actions.add_parser("repeat", help="make a run again from its photograph, and judge and publish it")
    repeating.add_argument("id", metavar="ID")
    repeating.add_argument("--execution", action="append", default=[], metavar="KEY=VALUE", help="as for `ratchet run`")
    repeating.set_defaults(handler=_repeat)
    pushing = actions.add_parser("push", help="take a run's photograph and outputs to DVC's remote")
    pulling = actions.add_parser("pull", help="bring them from there; the run's folder in runs/ says what they are")
    for moving, handler in ((pushing, _push), (pulling, _pull)):
        moving.add_argument("id", metavar="ID")
        moving.set_defaults(handler=handler)
    for action in (repeating, pushing, pulling):
        action.add_argument("--remote", metavar="NAME", help="another remote than DVC's default one")
    sweeping = actions.add_parser("sweep", help="remove the workspaces that runs have left behind")
    sweeping.add_argument("--gone", nargs="+", default=[], metavar="ID", help="these too, whatever their age")
    sweeping.set_defaults(handler=_sweep)


def _list(options: argparse.Namespace) -> int:
    from pipeline.runs import history

    records = history.list_runs(project_root())
    if options.json:
        say(json.dumps([_described(record) for record in records], indent=2))
    elif not records:
        say("no runs yet; `ratchet run` makes the first")
    for record in records if not options.json else ():
        start = datetime.fromisoformat(record.start).isoformat(timespec="seconds")
        say(f"{start}  {record.driver:7}  {record.state:7}  {record.outcome or '':9}  {record.folder}")
    return 0


def _described(record: RunRecord) -> dict[str, Any]:
    first = {key: getattr(record, key) for key in ("id", "driver", "state", "outcome", "start", "folder")}
    return first | record.to_json()


def _show(options: argparse.Namespace) -> int:
    from pipeline.cli.run_text import shown
    from pipeline.runs.evidence import read_evidence

    evidence = read_evidence(project_root(), options.id, options.attempt)
    say(json.dumps(evidence.to_json(), indent=2) if options.json else "\n".join(shown(evidence)))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from pipeline.cli.run_text import compared
    from pipeline.runs.comparing import compare
    from pipeline.runs.evidence import read_evidence

    root = project_root()
    a, b = read_evidence(root, options.a), read_evidence(root, options.b)
    found = compare(a, b)
    if options.json:
        say(json.dumps({"a": a.record.id, "b": b.record.id, **found.to_json()}, indent=2))
    else:
        say("\n".join(compared(a, b, found)).rstrip())
    return 0


def _delete(options: argparse.Namespace) -> int:
    from pipeline.cli.run_text import size
    from pipeline.runs import deleting

    root = project_root()
    planned = deleting.plan(root, options.ids)
    for one in planned:
        named = f"; named by {', '.join(one.named_by)}, which stay" if one.named_by else ""
        say(f"{one.run_id}: {', '.join(one.folders)}, {size(one.size_bytes)}{named}")
    if not options.yes:
        say("nothing is deleted yet: give the same command with --yes")
        return 0
    deleting.delete(root, [one.run_id for one in planned])
    what = "run" if len(planned) == 1 else "runs"
    say(f"deleted {len(planned)} {what}; `ratchet gc` says what DVC's cache holds for them alone")
    return 0


def _open(options: argparse.Namespace) -> int:
    from pipeline.runs import opening, workspaces

    root = project_root()
    record = opening.open_run(root, opening.read_request(options.request), dict(os.environ), is_anew=options.anew)
    if record.sentence:
        say(record.sentence)
    if record.same_as is None:
        say(f"open: {record.id} in {workspaces.WORKSPACES}/{record.id}")
    return 0


def _stage(options: argparse.Namespace) -> int:
    from pipeline.runs import steps
    from pipeline.runtime import processes

    if "RATCHET_LIFELINE" in os.environ:
        processes.die_with_input()
    steps.run_stage(project_root(), options.id, options.name)
    return 0


def _close(options: argparse.Namespace) -> int:
    from pipeline.runs import steps

    record = steps.close_run(project_root(), options.id, options.state, options.because)
    say(f"{record.state}: " + ", ".join(filter(None, (record.outcome or "no verdict", record.sentence))))
    say(f"kept: {record.folder}")
    return 0


def _repeat(options: argparse.Namespace) -> int:
    from pipeline.runs import in_one_process

    result = in_one_process.repeat(project_root(), options.id, options.remote, pairs(options.execution, "--execution"))
    say_result(result)
    return 0


def _push(options: argparse.Namespace) -> int:
    from pipeline.runs import history, remote

    root = project_root()
    moved = remote.push(root, history.read(root, options.id), options.remote)
    say(f"{moved.objects} objects taken to {moved.remote}; runs/{options.id} is not among them: copy or commit it")
    return 0


def _pull(options: argparse.Namespace) -> int:
    from pipeline.runs import history, remote

    root = project_root()
    moved = remote.pull(root, history.read(root, options.id), options.remote)
    say(f"{moved.objects} objects brought from {moved.remote}; `ratchet runs repeat {options.id}` makes the run again")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from pipeline.runs import sweeping

    removed = sweeping.sweep(project_root(), dict(os.environ), options.gone)
    say(f"removed {len(removed)} workspaces" + (f": {', '.join(removed)}" if removed else ""))
    return 0


COMMAND = Command(
    "runs",
    "look at the runs so far; drive one in steps, as Airflow does",
    "  ratchet runs list --json\n  ratchet runs show ID\n  ratchet runs compare A B\n  ratchet runs sweep\n"
    '  echo \'{"id": "try-1", "overrides": {"train.epochs": 3}}\' | ratchet runs open -\n'
    "  ratchet runs stage try-1 ingest\n  ratchet runs close try-1 --state success",
    _fill_runs,
)
