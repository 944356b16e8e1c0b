"""The rows that the forms of a model are proven on: the test rows, if there are any of its features; else made ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.export.calibration import CALIBRATION_ROWS, spread
from pipeline.export.made_rows import made_rows
from pipeline.models.serving import raw_inputs
from pipeline.records.architecture import Architecture
from pipeline.records.manifest import MANIFEST_FILE
from pipeline.storage.manifests import read_manifest
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import Columns, read_rows


class Proof(NamedTuple):
    """Raw rows that a model is proven on, whether they are made up, and training rows to calibrate on, if any."""

    rows: Columns
    is_made: bool
    calibration: Columns | None = None


def proof_rows(prepared: Path, served: Path, architecture: Architecture) -> Proof:
    """Return test rows for a model, and training rows where they are taken as they are prepared.

    `prepared` and `served` are the folders of both kinds of rows, which need not be there.
    """
    if not _fits(prepared / "test", served / "test", architecture):
        return Proof(made_rows(architecture), is_made=True)
    test = read_rows(prepared / "test")
    rows = {**test.columns, **read_served(served / "test", test.ids)}
    types = raw_inputs(architecture)
    is_here = (prepared / "train" / MANIFEST_FILE).is_file()
    if not is_here or any(types[spec.name][1] != spec.dtype for spec in architecture.features):
        return Proof({name: rows[name][:] for name in types}, is_made=False)
    train = read_rows(prepared / "train").columns
    count = len(next(iter(train.values())))
    places = spread(count, CALIBRATION_ROWS)
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
