"""Verdicts as the gate gives them, and their lines in the ledger of a local registry."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.records.identity import Identity
from pipeline.records.ledger import LedgerLine
from pipeline.records.verdict import GateCheck, Matched, Verdict
from pipeline.registry import ledger
from pipeline.registry.actor import Actor
from pipeline.registry.versions import LEDGER
from tests.registry.local_client import Client
from tests.registry.local_registry import LocalRegistry

ANN = Actor("ann", "2026-11-29T06:00:00Z")
RULE, TEST = "sha256:rule", "sha256:test"


def judged(
    candidate: str,
    champion: Identity | None = None,
    anchor: Identity | None = None,
    *,
    promotes: bool = True,
    moves_anchor: bool = False,
    test: str = TEST,
) -> Verdict:
    """Return a verdict; without an anchor, the champion is it."""
    check = GateCheck(name="x", figure=1, bound=1, outcome="pass" if promotes else "fail", sentence="seen")
    matched = Matched(rows=100, won=9, lost=2) if champion else None
    return Verdict.of([check], "the reason", candidate, champion).changed(
        anchor=anchor or champion,
        rule="better",
        rule_digest=RULE,
        test_digest=test,
        against_champion=matched,
        against_anchor=matched,
        moves_anchor=moves_anchor,
    )


def add_line(registry: LocalRegistry, verdict: Verdict, name: str = "pets") -> LedgerLine:
    """Add a verdict to the ledger."""
    line = ledger.line_after(lines_of(registry, name), name, verdict, ANN)
    ledger.write(Client(registry), line)
    return line


def lines_of(registry: LocalRegistry, name: str = "pets") -> list[LedgerLine]:
    """Return the ledger."""
    return ledger.read(registry.reader, name)


def on_line(line: LedgerLine) -> Mapping[str, str]:
    """Return the tag of the version that a line is about."""
    return {LEDGER: ledger.line_tag(line)}
