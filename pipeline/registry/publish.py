"""Registers a judged candidate: at most one version per digest, and the alias only on a verdict to promote.

A refused candidate becomes a version too, without an alias: the registry shows that it was refused and why, and a
person who overrules the gate (`ratchet registry promote`) finds its bytes there. Ratchet moves one alias, `champion`.
It sets no `challenger`: serving tools send traffic to that one, and what the gate has refused must get none.

The registry stays consistent if a process is killed at any moment. The bytes are uploaded to an MLflow run, read back
and checked against the digest before a version is made; a version is made with all its tags in one step; the alias is
moved last. What a killed process leaves is a run without a version, which the next registration removes, or a version
without its alias, which it completes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, TryAgain
from pipeline.models import stored
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.registry import runs, versions
from pipeline.registry.actor import Actor
from pipeline.registry.bundle import write_bundle
from pipeline.registry.decision import RegistryAction, decide
from pipeline.registry.moving import move_alias
from pipeline.registry.places import writing
from pipeline.registry.reader import Reader, champion_of, open_reader, with_digest
from pipeline.registry.standing import has_files
from pipeline.registry.store import LOCK_TIMEOUT_S, Store
from pipeline.registry.versions import Version
from pipeline.runtime.progress import Starting
from pipeline.storage.shards import Columns


@dataclass(frozen=True)
class Description:
    """The description of a new version: lineage, test metrics, recipe by dotted key, a few test rows, its export."""

    lineage: Mapping[str, str]
    metrics: Mapping[str, float]
    recipe: Mapping[str, str]
    example: Columns
    exported: Path


@dataclass(frozen=True)
class Candidate:
    """A judged candidate. `describe` is called only if a version has to be made."""

    name: str
    folder: Path
    verdict: Verdict
    describe: Callable[[], Description]


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
    with what is loaded. Raises StorageError, or TryAgain: see `decide` and `writing`.
    """
    reader = open_reader(store)
    action, own, champion = _look(reader, candidate)
    if action.makes_version or action.moves_alias or scratch.exists():  # the last: left behind by a killed registration
        announce(f"waiting for the registry {store.label}")
        with writing(store, lock_timeout_s):
            announce(f"writing to the registry {store.label}")
            action, own, champion = _look(reader, candidate)  # another process may have come first
            if action.makes_version or action.moves_alias or scratch.exists():
                own = _act(store, reader, candidate, action, own, champion, actor, scratch, starting)
            if action.moves_alias:
                champion = own
    if own is None and champion is not None and champion.digest == candidate.verdict.candidate:
        own = champion
    version = own.version if own else None
    sentence = f"v{version} {action.sentence}" if action.outcome == "promoted" else action.sentence
    if own is not None and not has_files(reader, own):
        sentence += f"; but the files of v{own.version} are gone from the registry: restore them from a backup"
    return Registration(
        outcome=action.outcome,
        name=candidate.name,
        version=version,
        champion=champion.identity if champion else None,
        sentence=sentence,
        registry=store.label,
    )


def _look(reader: Reader, candidate: Candidate) -> tuple[RegistryAction, Version | None, Version | None]:
    champion = champion_of(reader, candidate.name)
    own = with_digest(reader, candidate.name, candidate.verdict.candidate)
    return decide(candidate.verdict, own, champion), own, champion


def _act(
    store: Store,
    reader: Reader,
    candidate: Candidate,
    action: RegistryAction,
    own: Version | None,
    champion: Version | None,
    actor: Actor,
    scratch: Path,
    starting: Starting,
) -> Version | None:
    with starting("MLflow"):
        from pipeline.registry import tracking

        client = tracking.open_client(store)
    verdict, name = candidate.verdict, candidate.name
    replaced = versions.champion_tag(champion.identity if champion else None)
    judged = {versions.OUTCOME: verdict.outcome, versions.REASON: verdict.reason}
    with tracking.failures_named(store):
        runs.sweep(store, client, reader, name)
        shutil.rmtree(scratch, ignore_errors=True)
        if action.makes_version:
            history = versions.history_tag([], actor.event("registered", verdict.reason, replaced))
            own = _make_version(store, client, reader, candidate, {**judged, versions.HISTORY: history}, scratch)
        if action.moves_alias and own is not None:
            # Making the version took a while, and the lock does not cover other machines: see `moving`.
            promoted = actor.event("promoted", verdict.reason, replaced)
            move_alias(client, reader, own, champion, {**judged, versions.REPLACED: replaced}, promoted)
    return reader.version(name, own.version) if own else None


def _way_back(lineage: Mapping[str, str]) -> str | None:
    """Return a link to the page of a version's run, for MLflow's page of the version; None if the run has no page."""
    address, run = lineage.get(versions.RUN_ADDRESS), lineage.get(versions.DAG_RUN) or lineage.get(versions.RUN)
    return f"Made by run [{run}]({address})" if address else None


def _make_version(
    store: Store, client: Any, reader: Reader, candidate: Candidate, tags: Mapping[str, str], scratch: Path
) -> Version:
    description = candidate.describe()
    described = {**description.lineage, versions.METRICS: json.dumps(dict(description.metrics))}
    digest = candidate.verdict.candidate
    scratch.mkdir(parents=True)
    try:
        bundle = scratch / "bundle"
        write_bundle(candidate.folder, description.exported, bundle, description.example)
        run = runs.open_run(
            store,
            client,
            candidate.name,
            digest,
            recipe=description.recipe,
            metrics=description.metrics,
            tags=described,
        )
        source = runs.upload(store, client, reader, run, bundle, candidate.verdict, digest)
        created = client.create_model_version(
            candidate.name,
            source,
            run_id=run,
            tags={**described, **tags, versions.DIGEST: digest},
            description=_way_back(description.lineage),
            await_creation_for=0,
        )
        runs.close_run(client, run, candidate.verdict.outcome)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    version = reader.version(candidate.name, int(created.version))
    if version is None:
        raise TryAgain(f"model registry: {candidate.name} v{created.version} was removed while it was made; run again")
    return version
