"""Registers a judged candidate: at most one version per digest, and the alias only on a verdict to promote.

A refused candidate becomes a version too, without an alias: the registry shows that it was refused and why, and a
person who overrules the gate (`ratchet registry promote`) finds its bytes there. Ratchet moves one alias, `champion`.
It sets no `challenger`: serving tools send traffic to that one, and what the gate has refused must get none.

The verdict comes first into the ledger, and what is done follows from its line, as it is read back.

The registry stays consistent if a process is killed at any moment. The bytes are uploaded to an MLflow run, read back
and checked against the digest before a version is made; a version is made with all its tags in one step; the alias is
moved last. What a killed process leaves is a line without a version, a run without a version, which the next
registration removes, or a version without its alias: the next registration of the same candidate completes them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, TryAgain
from pipeline.models import stored
from pipeline.records.digests import digest_bytes
from pipeline.records.ledger import LedgerLine
from pipeline.records.measured_exports import EXPORTS_FILE, MeasuredExports
from pipeline.records.model_card import CARD_FILE, CARD_PAGE
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.registry import anchor, ledger, runs, versions
from pipeline.registry.actor import Actor
from pipeline.registry.bundle import write_bundle
from pipeline.registry.challenge import challenge
from pipeline.registry.decision import RegistryAction, anchor_after, decide
from pipeline.registry.moving import move_alias, settle, write_tags
from pipeline.registry.places import writing
from pipeline.registry.reader import Reader, champion_of, open_reader, with_digest
from pipeline.registry.runs import MODEL_PATH
from pipeline.registry.standing import has_files
from pipeline.registry.store import LOCK_TIMEOUT_S, Store
from pipeline.registry.versions import Version
from pipeline.runtime.progress import Starting
from pipeline.storage import judged_rows
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import Columns


@dataclass(frozen=True)
class Description:
    """The description of a new version: lineage, test metrics, recipe by key, a few validation rows, its export.

    `example` are prepared values, `served` the raw ones of those features that are prepared inside the served model.
    `test_ids` are the ids of the test rows that its verdict is about. `card` are the files of its model card by name,
    `exports` what its forms take on this machine.
    """

    lineage: Mapping[str, str]
    metrics: Mapping[str, float]
    recipe: Mapping[str, str]
    example: Columns
    served: Columns
    exported: Path
    test_ids: Sequence[str]
    card: Mapping[str, bytes]
    exports: MeasuredExports


@dataclass(frozen=True)
class Candidate:
    """A judged candidate. `describe` is called only if a version has to be made.

    `require_given` raises DataError unless the gate can have given the verdict; called before anything is written.
    `beyond` says which bound of this machine it does not hold; "" if it holds them.
    """

    name: str
    folder: Path
    verdict: Verdict
    require_given: Callable[[], None]
    describe: Callable[[], Description]
    beyond: str = ""


def require_judged(candidate: Candidate) -> None:
    """Raise DataError unless the verdict is about the model in the candidate's folder."""
    if stored.digest(candidate.folder) != candidate.verdict.candidate:
        raise DataError(
            f"the verdict judges another model than {candidate.folder.name}; run `dvc repro` to judge this one"
        )


def register(
    store: Store,
    candidate: Candidate,
    actor: Actor,
    scratch: Path,
    *,
    announce: Callable[[str], None] = lambda _: None,
    starting: Starting = nullcontext,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> Registration:
    """Do what the verdict requires, once. Nothing is imported, locked or written if there is nothing to do.

    `scratch` is a temporary folder for the MLflow model; `announce` is called with what is being done, `starting`
    with what is loaded. Raises StorageError; TryAgain: see `decide` and `writing`; DataError if the gate cannot have
    given the verdict, or if the ledger has another one.
    """
    reader, verdict = open_reader(store), candidate.verdict
    seen = _look(reader, candidate)
    action = _decided(reader, candidate, seen)
    if _is_work(action, seen):
        candidate.require_given()
    if _is_work(action, seen) or scratch.exists():  # the last: left behind by a killed registration
        announce(f"waiting for the registry {store.label}")
        with writing(store, lock_timeout_s):
            announce(f"writing to the registry {store.label}")
            seen = _look(reader, candidate)  # another process may have come first
            action = _decided(reader, candidate, seen)
            if _is_work(action, seen) or scratch.exists():
                _act(store, reader, candidate, action, seen, actor, scratch, starting)
                seen = _look(reader, candidate)
    own, champion = seen.own, seen.champion
    if own is None and champion is not None and champion.digest == verdict.candidate:
        own = champion
    version = own.version if own else None
    sentence = f"v{version} {action.sentence}" if action.outcome == "promoted" else action.sentence
    if not action.is_recorded and (line := ledger.another(seen.lines, verdict)):
        sentence += (
            f"; but line {line.number} of the ledger says {line.outcome} where the gate says {verdict.outcome} now, so "
            'one of the two is not true; `ratchet registry rollback --reason "…"` brings back who was champion before'
        )
    if own is not None and not has_files(reader, own):
        sentence += f"; but the files of v{own.version} are gone from the registry: restore them from a backup"
    return Registration(
        outcome=action.outcome,
        name=candidate.name,
        version=version,
        champion=champion.identity if champion else None,
        sentence=sentence,
        registry=store.label,
        line=seen.line.number if seen.line else None,
        verdicts=ledger.verdicts_given(seen.lines, verdict),
        verdicts_on_rows=ledger.verdicts_on_rows(seen.lines, verdict),
        test=verdict.test_digest,
        anchor=anchor.by_hand(reader, verdict.champion, verdict.anchor),
    )


@dataclass(frozen=True)
class _Seen:
    """The registry as it is: the champion, the candidate's own version, the ledger, and the verdict's line in it."""

    champion: Version | None
    own: Version | None
    lines: list[LedgerLine]
    line: LedgerLine | None


def _look(reader: Reader, candidate: Candidate) -> _Seen:
    name, verdict = candidate.name, candidate.verdict
    champion, own = champion_of(reader, name), with_digest(reader, name, verdict.candidate)
    lines = ledger.read(reader, name)
    return _Seen(champion, own, lines, ledger.find(lines, verdict))


def _decided(reader: Reader, candidate: Candidate, seen: _Seen) -> RegistryAction:
    verdict = candidate.verdict
    met = challenge(reader, candidate.name, seen.champion, verdict.candidate)
    action = decide(verdict, seen.own, seen.champion, met, candidate.beyond)
    if action.is_recorded:
        ledger.require_no_other(seen.lines, candidate.name, verdict, seen.own)
    return action


def _is_work(action: RegistryAction, seen: _Seen) -> bool:
    is_on_line = seen.line is not None and seen.own is not None and ledger.is_on_line(seen.own, seen.line)
    return action.makes_version or action.moves_alias or (action.is_recorded and not is_on_line)


def _act(
    store: Store,
    reader: Reader,
    candidate: Candidate,
    action: RegistryAction,
    seen: _Seen,
    actor: Actor,
    scratch: Path,
    starting: Starting,
) -> None:
    with starting("MLflow"):
        from pipeline.registry import tracking

        client = tracking.open_client(store)
    verdict, own = candidate.verdict, seen.own
    replaced = versions.identity_tag(seen.champion.identity if seen.champion else None)
    with tracking.failures_named(store):
        runs.sweep(store, client, reader, candidate.name)
        shutil.rmtree(scratch, ignore_errors=True)
        if not _is_work(action, seen):
            return
        if seen.champion is not None:
            settle(client, reader, seen.champion)
        line = seen.line or _add_line(client, reader, candidate, seen, actor)
        judged = {
            versions.OUTCOME: verdict.outcome,
            versions.REASON: verdict.reason,
            versions.LEDGER: ledger.line_tag(line),
        }
        if action.makes_version:
            history = versions.history_tag([], actor.event("registered", verdict.reason, replaced))
            own = _make_version(store, client, reader, candidate, {**judged, versions.HISTORY: history}, scratch)
        elif own is not None and not action.moves_alias:
            write_tags(client, own, {**judged, **_rows_of_another_verdict(own, verdict)})
        if action.moves_alias and own is not None:
            # Making the version took a while, and the lock does not cover other machines: see `moving`.
            held = versions.identity_tag(anchor_after(verdict, own.identity))
            promoted = actor.event("promoted", verdict.reason, replaced, anchor=held)
            tags = {**judged, **_rows_of_another_verdict(own, verdict)}
            tags |= {versions.REPLACED: replaced, versions.ANCHOR: held}
            move_alias(client, reader, own, seen.champion, tags, promoted)


def _add_line(client: Any, reader: Reader, candidate: Candidate, seen: _Seen, actor: Actor) -> LedgerLine:
    """Add the verdict to the ledger, and return its line as it is read back."""
    runs.ensure_registered_model(client, candidate.name)
    ledger.write(client, ledger.line_after(seen.lines, candidate.name, candidate.verdict, actor))
    lines = ledger.read(reader, candidate.name)
    ledger.require_no_other(lines, candidate.name, candidate.verdict, seen.own)  # another machine's, meanwhile
    line = ledger.find(lines, candidate.verdict)
    if line is None:
        raise TryAgain(f"model registry: the ledger of {candidate.name} has lost a line just written; run again")
    return line


def _rows_of_another_verdict(own: Version, verdict: Verdict) -> Mapping[str, str]:
    """Return the tag by which a version has no list of its test rows: the one it has is that of another verdict's."""
    listed = own.tags.get(versions.JUDGED_BY)
    is_other = listed is not None and listed.partition(" ")[0] != verdict.test_digest
    return {versions.JUDGED_BY: versions.MISSING} if is_other else {}


def _described(lineage: Mapping[str, str]) -> str:
    """Return what MLflow's page of a version says: where its card is, and a link to its run's page, if it has one."""
    address, run = lineage.get(versions.RUN_ADDRESS), lineage.get(versions.DAG_RUN) or lineage.get(versions.RUN)
    way_back = f". Made by run [{run}]({address})" if address else ""
    return f"Its model card: `{MODEL_PATH}/{CARD_PAGE}` among the artifacts of its source run{way_back}"


def _make_version(
    store: Store, client: Any, reader: Reader, candidate: Candidate, tags: Mapping[str, str], scratch: Path
) -> Version:
    description = candidate.describe()
    described = {**description.lineage, versions.METRICS: json.dumps(dict(description.metrics))}
    digest = candidate.verdict.candidate
    scratch.mkdir(parents=True)
    try:
        bundle = scratch / "bundle"
        write_bundle(candidate.folder, description.exported, bundle, description.example, description.served)
        listed = judged_rows.to_bytes(description.test_ids)
        (bundle / judged_rows.JUDGED_BY_FILE).write_bytes(listed)
        described[versions.JUDGED_BY] = f"{candidate.verdict.test_digest} {digest_bytes(listed)}"
        for name, content in description.card.items():
            (bundle / name).write_bytes(content)
        described[versions.CARD] = digest_bytes(description.card[CARD_FILE])
        write_record(bundle / EXPORTS_FILE, description.exports)
        figures = description.exports.figures
        described[versions.EXPORTS] = json.dumps({"machine": description.exports.machine, **figures})
        run = runs.open_run(
            store,
            client,
            candidate.name,
            digest,
            recipe=description.recipe,
            metrics={**description.metrics, **{f"export.{name}": value for name, value in figures.items()}},
            tags=described,
        )
        source = runs.upload(store, client, reader, run, bundle, candidate.verdict, digest)
        created = client.create_model_version(
            candidate.name,
            source,
            run_id=run,
            tags={**described, **tags, versions.DIGEST: digest},
            description=_described(description.lineage),
            await_creation_for=0,
        )
        runs.close_run(client, run, candidate.verdict.outcome)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    version = reader.version(candidate.name, int(created.version))
    if version is None:
        raise TryAgain(f"model registry: {candidate.name} v{created.version} was removed while it was made; run again")
    return version
