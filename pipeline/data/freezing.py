"""Sets the thresholds of a split, class by class, so that the rows that are there are divided into the exact shares.

Of a number it is bin by bin, between quantiles of the rows that are there. A split by time gets the instants that these
rows set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.data.frozen_split import HASHES, FrozenSplit, Thresholds
from pipeline.data.instants import Instants
from pipeline.data.shares import largest_remainder
from pipeline.data.splitting import (
    PARTS,
    Division,
    Labels,
    assign_rows,
    columns_of,
    is_validation_given,
    of_shares,
    require_test_rows,
    stable_hash,
    test_rows,
    with_instants,
)
from pipeline.data.strata import Strata, quantile_edges
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import iter_tables


def thresholds_of(hashes: npt.NDArray[np.uint64], shares: Sequence[float]) -> Thresholds:
    """Return the thresholds that divide a class's hashes, `[row] uint64`, into the exact shares.

    Rows with equal content, where they are kept, count once. Raises DataError if a part with a share would get no row.
    """
    hashes = np.unique(hashes)
    counts = largest_remainder(len(hashes), shares)
    for part, share, count in zip(PARTS, shares, counts, strict=True):
        if share and not count:
            raise DataError(f"{len(hashes)} rows are too few to give the {part} part one; add rows")
    in_order = hashes.tolist()
    first, second = counts[0], counts[0] + counts[1]
    return in_order[first], in_order[second] if second < len(in_order) else HASHES


@dataclass(frozen=True)
class Frozen:
    """A frozen split, what is new in it, and how many of the rows that are there change their part.

    New are classes, by their names, or the bins of a number, or the two instants of a split by time.
    """

    split: FrozenSplit
    added: tuple[str, ...]
    rows: int
    moved: int


def freeze(
    clean: Path, *, classes: Sequence[str], params: SplitParams, seed: int, before: FrozenSplit | None
) -> Frozen:
    """Return the frozen split of the rows in `clean`: what stood in it `before` stays, other classes are added.

    Raises DataError if the rows are of other classes, or if there are too few of one.
    """
    manifest = read_manifest(clean)
    if list(manifest.counts.get("classes", ())) != list(classes):
        raise DataError(f"the kept rows ({clean.name}) are of other classes than data.classes; bring them up to date")
    if params.method == "time":
        return _freeze_instants(clean, params, seed, before, manifest.rows)
    in_force = before.seed if before and params.frozen else seed
    seed = before.seed if before else seed
    labels = np.empty(manifest.rows, np.int32 if classes else np.float64)
    hashes = np.empty(manifest.rows, np.uint64)
    is_given = np.zeros(manifest.rows, np.bool_)
    end = 0
    for rows in iter_tables(clean, columns_of(params), verify=False):
        here = slice(end, end := end + rows.num_rows)
        labels[here], hashes[here] = rows["label"].to_numpy(), stable_hash(rows["content_digest"].to_pylist(), seed)
        if params.method == "source":
            is_given[here] = test_rows(rows["part"].to_pylist())
    require_test_rows(int(is_given.sum()), params)

    known = dict(before.thresholds) if before else {}
    strata = _strata(params, classes, labels, before)
    of_strata = _by_stratum(strata.of(labels[~is_given]), hashes[~is_given], len(strata.names))
    added = {}
    for name, found in zip(strata.names, of_strata, strict=True):
        if name not in known:
            try:
                added[name] = thresholds_of(found, (params.train, params.validation, params.test))
            except DataError as error:
                raise DataError(f"{'class' if classes else 'bin'} '{name}': {error}") from error
    split = FrozenSplit.of(params, seed, known | added, edges=strata.edges)
    shares = of_shares(params)
    until_now = [known.get(name, shares) if params.frozen else shares for name in strata.names]
    now = Division(in_force, until_now, strata.edges)
    then = Division(seed, [split.thresholds[name] for name in strata.names], strata.edges)
    moved = _moved(clean, params, now, then, is_validation_given=is_validation_given(manifest, params))
    return Frozen(split, tuple(added), manifest.rows, moved)


def _strata(params: SplitParams, classes: Sequence[str], labels: Labels, before: FrozenSplit | None) -> Strata:
    """Return the strata that get thresholds: the classes, or the bins of a number, which stay as they were before."""
    if classes:
        return Strata.of_classes(classes)
    frozen = before.edges if before else None
    return Strata.of_edges(quantile_edges(labels, params.quantiles) if frozen is None else frozen)


def _freeze_instants(clean: Path, params: SplitParams, seed: int, before: FrozenSplit | None, rows: int) -> Frozen:
    """Return the split by time at the instants that the rows set now, or that stood in it before."""
    now = with_instants(clean, params, Division(seed, []))
    if before:
        then = Division(before.seed, [], instants=before.instants_in_force)
        moved = 0 if params.frozen else _moved(clean, params, now, then)
        return Frozen(before, (), rows, moved)
    return Frozen(FrozenSplit.of(params, seed, instants=now.instants), Instants._fields, rows, 0)


def _moved(
    clean: Path, params: SplitParams, now: Division, then: Division, *, is_validation_given: bool = False
) -> int:
    """Return how many rows have another part then."""
    moved = 0
    for rows in iter_tables(clean, columns_of(params), verify=False):
        before, after = (
            assign_rows(rows, params, each, is_validation_given=is_validation_given) for each in (now, then)
        )
        moved += int((before != after).sum())
    return moved


def _by_stratum(strata: Labels, keys: npt.NDArray[np.uint64], number: int) -> list[npt.NDArray[np.uint64]]:
    """Return the hashes of each stratum's rows, `[stratum]`."""
    order = np.argsort(strata, kind="stable")
    return np.split(keys[order], np.searchsorted(strata[order], np.arange(1, number)))
