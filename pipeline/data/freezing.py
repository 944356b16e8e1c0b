"""Sets the thresholds of a split, class by class, so that the rows that are there are divided into the exact shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.frozen_split import HASHES, FrozenSplit, Thresholds
from pipeline.data.splitting import (
    PARTS,
    Division,
    assign,
    is_validation_given,
    of_shares,
    require_test_rows,
    stable_hash,
    test_rows,
)
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import iter_tables

_COLUMNS = ("label", "part", "content_digest")


def largest_remainder(rows: int, shares: Sequence[float]) -> list[int]:
    """Return how many of `rows` each share gets: they sum to `rows`, each within 1 of its quota (Hamilton's method)."""
    quotas = [rows * share for share in shares]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda part: (counts[part] - quotas[part], part))
    for part in by_remainder[: rows - sum(counts)]:
        counts[part] += 1
    return counts


def thresholds_of(hashes: npt.NDArray[np.uint64], shares: Sequence[float]) -> Thresholds:
    """Return the thresholds that divide a class's hashes, `[row] uint64`, into the exact shares.

    Raises DataError if a part with a share would get no row.
    """
    counts = largest_remainder(len(hashes), shares)
    for part, share, count in zip(PARTS, shares, counts, strict=True):
        if share and not count:
            raise DataError(f"{len(hashes)} rows are too few to give the {part} part one; add rows")
    in_order = np.sort(hashes).tolist()
    first, second = counts[0], counts[0] + counts[1]
    return in_order[first], in_order[second] if second < len(in_order) else HASHES


@dataclass(frozen=True)
class Frozen:
    """A frozen split, the classes that are new in it, and how many of the rows that are there change their part."""

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
    known = dict(before.thresholds) if before else {}
    in_force = [known.get(name, of_shares(params)) if params.frozen else of_shares(params) for name in classes]
    now = Division(before.seed if before and params.frozen else seed, in_force)

    seed = before.seed if before else seed
    labels, hashes = np.empty(manifest.rows, np.int32), np.empty(manifest.rows, np.uint64)
    is_given = np.zeros(manifest.rows, np.bool_)
    end = 0
    for rows in iter_tables(clean, _COLUMNS, verify=False):
        here = slice(end, end := end + rows.num_rows)
        labels[here], hashes[here] = rows["label"].to_numpy(), stable_hash(rows["content_digest"].to_pylist(), seed)
        if params.method == "source":
            is_given[here] = test_rows(rows["part"].to_pylist())
    require_test_rows(int(is_given.sum()), params)
    added = {}
    for name, found in zip(classes, _by_label(labels[~is_given], hashes[~is_given], len(classes)), strict=True):
        if name not in known:
            try:
                added[name] = thresholds_of(found, (params.train, params.validation, params.test))
            except DataError as error:
                raise DataError(f"class '{name}': {error}") from error
    split = FrozenSplit.of(params, seed, known | added)
    then = Division(seed, [split.thresholds[name] for name in classes])
    is_given_too = is_validation_given(manifest, params)
    moved = sum(
        _moved(rows, params, now, then, is_validation_given=is_given_too)
        for rows in iter_tables(clean, _COLUMNS, verify=False)
    )
    return Frozen(split, tuple(added), manifest.rows, moved)


def _moved(rows: pa.Table, params: SplitParams, now: Division, then: Division, *, is_validation_given: bool) -> int:
    """Return how many rows have another part then."""
    labels, parts, digests = rows["label"].to_numpy(), rows["part"].to_pylist(), rows["content_digest"].to_pylist()
    before, after = (
        assign(parts, labels, each.hashes(digests), params, each, is_validation_given=is_validation_given)
        for each in (now, then)
    )
    return int((before != after).sum())


def _by_label(
    labels: npt.NDArray[np.int32], keys: npt.NDArray[np.uint64], classes: int
) -> list[npt.NDArray[np.uint64]]:
    """Return the hashes of each label's rows, `[label]`."""
    order = np.argsort(labels, kind="stable")
    return np.split(keys[order], np.searchsorted(labels[order], np.arange(1, classes)))
