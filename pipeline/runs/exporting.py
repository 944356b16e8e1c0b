"""Exports a version of the registry: its files, checked by its digest, become a served folder.

It is proven on the test rows of the project, if they are there and are rows of its features; otherwise on made ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.export.made_rows import made_rows
from pipeline.export.saved_model import shared_exports
from pipeline.export.served import require_replaceable, write_served
from pipeline.graph import load_graph
from pipeline.models import stored
from pipeline.models.serving import raw_inputs
from pipeline.records.architecture import Architecture
from pipeline.records.manifest import MANIFEST_FILE
from pipeline.records.model_card import CARD_PAGE
from pipeline.records.served_model import ServedModel
from pipeline.registry.by_hand import named
from pipeline.registry.fetch import fetch, fetch_card
from pipeline.registry.reader import open_reader
from pipeline.registry.store import Store
from pipeline.registry.versions import THRESHOLD, UNIT
from pipeline.report.card_files import markdown
from pipeline.runtime.progress import Starting
from pipeline.storage.manifests import read_manifest
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import Columns, read_rows

_CALIBRATION_ROWS = 1024


class Proof(NamedTuple):
    """Raw rows that a model is proven on, whether they are made up, and training rows to calibrate on, if any."""

    rows: Columns
    is_made: bool
    calibration: Columns | None = None


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
    """Return the project's test rows for a model, and training rows where they are taken as they are prepared."""
    graph = load_graph(root)
    prepared, served = (root / path if (path := graph.find(role)) else None for role in ("prepared", "served"))
    if prepared is None or served is None or not _fits(prepared / "test", served / "test", architecture):
        return Proof(made_rows(architecture), is_made=True)
    test = read_rows(prepared / "test")
    rows = {**test.columns, **read_served(served / "test", test.ids)}
    types = raw_inputs(architecture)
    is_here = (prepared / "train" / MANIFEST_FILE).is_file()
    if not is_here or any(types[spec.name][1] != spec.dtype for spec in architecture.features):
        return Proof({name: rows[name][:] for name in types}, is_made=False)
    train = read_rows(prepared / "train").columns
    count = len(next(iter(train.values())))
    places = np.unique(np.linspace(0, count - 1, min(count, _CALIBRATION_ROWS)).astype(int))  # sources sort by class
    calibration = {name: np.stack([train[name][place : place + 1][0] for place in places]) for name in types}
    return Proof({name: rows[name][:] for name in types}, is_made=False, calibration=calibration)


def _fits(prepared: Path, served: Path, architecture: Architecture) -> bool:
    """Return whether prepared rows, and served ones of features that are prepared by what is learned, are a model's."""
    if not all((folder / MANIFEST_FILE).is_file() for folder in (prepared, served)):
        return False
    has = {spec.name: spec for spec in read_manifest(prepared, verify=False).features}
    raw = read_manifest(served, verify=False).columns
    for spec in architecture.features:
        own = has.get(spec.name)
        if own is None or own.kind != spec.kind:
            return False
        if spec.name not in raw and (own.shape, own.dtype) != (spec.shape, spec.dtype):
            return False
    return True
