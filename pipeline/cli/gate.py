"""`ratchet gate`: a verdict in words."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, add_actions, add_json, project_root, say
from pipeline.errors import UsageError
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict

if TYPE_CHECKING:
    from pipeline.graph import Graph


def _fill(command: argparse.ArgumentParser) -> None:
    actions = add_actions(command)
    explaining = actions.add_parser("explain", help="what the gate decided, by what, and what its test rows can show")
    explaining.add_argument("id", metavar="RUN", nargs="?", help="a run; without it, the verdict in this folder")
    add_json(explaining)
    explaining.set_defaults(handler=_explain)


def _explain(options: argparse.Namespace) -> int:
    root = project_root()
    verdict, registration = _of_run(root, options.id) if options.id else _of_folder(root)
    if options.json:
        say(json.dumps(verdict.to_json(), indent=2))
    else:
        say(textwrap.fill(" ".join(explained(verdict, registration)), max(40, shutil.get_terminal_size().columns - 1)))
    return 0


def explained(verdict: Verdict, registration: Registration | None = None) -> Iterator[str]:
    """Yield the sentences that say a verdict, and what the ledger said of its test rows when it was registered."""
    failed = [check for check in verdict.checks if not check.has_passed]
    off = [check for check in verdict.checks if check.outcome == "off"]
    passed = len(verdict.checks) - len(failed) - len(off)
    yield f"{'Promoted' if verdict.promotes else 'Refused'}: {verdict.reason}."
    met = (
        f"against champion v{verdict.champion.version}" if verdict.champion else "as a first model, by its bounds alone"
    )
    if verdict.anchor:
        met += f" and anchor v{verdict.anchor.version}"
    by = f" by rule {verdict.rule}" if verdict.rule else ""
    yield f"The candidate was judged{by} {met}; {passed} of {len(verdict.checks)} checks passed."
    for check in failed[1:]:
        yield f"It failed {check.name}, too: {check.sentence}."
    for check in off:
        yield f"{check.name} does not count: {check.sentence}."
    if verdict.shows:
        yield f"What these test rows can show: {verdict.shows}."
    if verdict.over_use:
        yield f"{verdict.over_use[:1].upper()}{verdict.over_use[1:]}."
    if registration is not None and registration.verdicts_on_rows is not None:
        given = "1 verdict" if registration.verdicts_on_rows == 1 else f"{registration.verdicts_on_rows} verdicts"
        yield f"These very test rows have given {given} so far."
    if verdict.moves_anchor:
        yield "It is the new anchor, to which all that come later are held."
    elif verdict.promotes and verdict.anchor:
        yield f"Anchor v{verdict.anchor.version} stays: the candidate is not proven better than that."


def _of_run(root: Path, run_id: str) -> tuple[Verdict, Registration | None]:
    from pipeline.graph import load_graph
    from pipeline.runs.evidence import read_evidence

    evidence = read_evidence(root, run_id)
    if evidence.verdict is None:
        why = f": {evidence.problems[0]}" if evidence.problems else ""
        raise UsageError(f"run {run_id} has no verdict{why}; `ratchet runs show {run_id}` says how far it came")
    folder = root / evidence.record.folder
    return evidence.verdict, _registration(folder, load_graph(folder), evidence.verdict)


def _of_folder(root: Path) -> tuple[Verdict, Registration | None]:
    from pipeline.graph import load_graph
    from pipeline.runs.outcome import NO_VERDICT, find_verdict

    graph = load_graph(root)
    if graph.find("verdict") is None:
        raise UsageError(NO_VERDICT)
    verdict = find_verdict(root, graph)
    if verdict is None:
        raise UsageError(f"{graph.artifact('verdict')} does not exist; `ratchet run` makes a verdict")
    return verdict, _registration(root, graph, verdict)


def _registration(folder: Path, graph: Graph, verdict: Verdict) -> Registration | None:
    """Return what was registered of a verdict; None if that was one on other test rows, or nothing yet."""
    from pipeline.runs.outcome import find_registration

    registration = find_registration(folder, graph)
    return registration if registration and registration.test == verdict.test_digest else None


COMMAND = Command("gate", "say a verdict in words", "  ratchet gate explain\n  ratchet gate explain RUN --json", _fill)
