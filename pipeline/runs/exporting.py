"""Exports a version of the registry: its files, checked by its digest, become a served folder.

It is proven on the test rows of the project, if they are there and are rows of its features; otherwise on made ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from pipeline.export.made_rows import made_rows
from pipeline.export.proof_rows import Proof, proof_rows
from pipeline.export.saved_model import shared_exports
from pipeline.export.served import require_replaceable, write_served
from pipeline.graph import load_graph
from pipeline.models import stored
from pipeline.records.architecture import Architecture
from pipeline.records.model_card import CARD_PAGE
from pipeline.records.served_model import ServedModel
from pipeline.registry.by_hand import named
from pipeline.registry.fetch import fetch, fetch_card
from pipeline.registry.reader import open_reader
from pipeline.registry.store import Store
from pipeline.registry.versions import THRESHOLD, UNIT
from pipeline.report.card_files import markdown
from pipeline.runtime.progress import Starting


def export_version(
    root: Path,
    store: Store,
    which: str,
    target: Path,
    formats: Sequence[str],
    name: str,
    starting: Starting = nullcontext,
) -> ServedModel:
    """Publish the served folder of a version as `target`, with its model card if it has one; see `write_served`.

    `which` is `NAME@VERSION`, `NAME` or "" (the model called `name`), with a number or an alias as VERSION: the
    champion if there is none. Raises UsageError for an unknown one.
    """
    require_replaceable(target)
    version = named(store, which, name)
    threshold = version.tags.get(THRESHOLD)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        model = Path(folder) / "model"
        reader = open_reader(store)
        fetch(store, reader, version, model)
        card = fetch_card(store, reader, version)
        proof = proof_of(root, stored.read_architecture(model))
        return write_served(
            model,
            shared_exports(root),
            target,
            proof.rows,
            name=version.name,
            version=version.version,
            formats=formats,
            unit=version.tags.get(UNIT, ""),
            threshold=float(threshold) if threshold else None,
            calibration=proof.calibration,
            is_made=proof.is_made,
            beside={CARD_PAGE: markdown(card)} if card else {},
            starting=starting,
        )


def proof_of(root: Path, architecture: Architecture) -> Proof:
    """Return the project's test rows for a model, or made ones; see `proof_rows`."""
    graph = load_graph(root)
    prepared, served = (graph.find(role) for role in ("prepared", "served"))
    if prepared is None or served is None:
        return Proof(made_rows(architecture), is_made=True)
    return proof_rows(root / prepared, root / served, architecture)
