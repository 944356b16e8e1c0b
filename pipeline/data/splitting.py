"""Which row belongs to the training, the validation and the test part, and the proof that nothing is in two.

A hash of the seed and the digest of a row's content decides, never its position: shuffling the source changes nothing,
and rows with equal content always go to the same part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.shard_tasks import read_shard
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.records.manifest import FileEntry
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, write_shard

SPLIT_SCHEMA = pa.schema([("id", pa.string()), ("part", pa.string())])
_COLUMNS = ("id", "label", "part", "content_digest")
PARTS = ("train", "validation", "test")  # a part's code is its index
Codes = npt.NDArray[np.int8]


def stable_hash(digests: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Return 64 well-mixed bits per content digest, `[row] uint64`: the first bits of sha256 over seed and digest."""
    prefix = f"split {seed} ".encode()
    content = b"".join(hashlib.sha256(prefix + digest.encode()).digest()[:8] for digest in digests)
    return np.frombuffer(content, ">u8").astype(np.uint64)


def assign(
    source_parts: Sequence[str],
    labels: npt.NDArray[np.int32],
    digests: Sequence[str],
    params: SplitParams,
    seed: int,
) -> Codes:
    """Return each row's part, `[row] int8`, an index into PARTS. All arguments are `[row]`.

    Raises DataError if method `source` finds no test rows in the source.
    """
    keys = stable_hash(digests, seed)
    if params.method == "hash":
        # The bounds divide the whole 64-bit range, so a row's part depends on nothing but its own key.
        bounds = [round(share * 2**64) for share in (params.train, params.train + params.validation)]
        return np.searchsorted(np.array([min(b, 2**64 - 1) for b in bounds], np.uint64), keys, side="right").astype(
            np.int8
        )
    if params.method == "stratified":
        return _stratified(labels, keys, digests, (params.train, params.validation, params.test))
    is_test = np.array([part == "test" for part in source_parts], np.bool_)
    if not is_test.any():
        raise DataError(
            "data/clean: the source has no test files of its own; "
            "set split.method to stratified or hash, and split.test above 0, in params.yaml"
        )
    codes = np.full(len(keys), PARTS.index("test"), np.int8)
    rest = np.flatnonzero(~is_test)
    shares = (params.train, params.validation, 0.0)
    codes[rest] = _stratified(labels[rest], keys[rest], [digests[row] for row in rest.tolist()], shares)
    return codes


def largest_remainder(rows: int, shares: Sequence[float]) -> list[int]:
    """Return how many of `rows` each share gets: they sum to `rows`, each within 1 of its quota (Hamilton's method)."""
    quotas = [rows * share for share in shares]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda part: (counts[part] - quotas[part], part))
    for part in by_remainder[: rows - sum(counts)]:
        counts[part] += 1
    return counts


def _stratified(
    labels: npt.NDArray[np.int32], keys: npt.NDArray[np.uint64], digests: Sequence[str], shares: Sequence[float]
) -> Codes:
    """Within each class, in the order of the keys, assign the first share to training, the next to validation, …"""
    codes = np.empty(len(keys), np.int8)
    by_key = np.lexsort((np.asarray(digests), keys)) if len(keys) else np.empty(0, np.int64)
    for label in np.unique(labels):
        rows = by_key[labels[by_key] == label]
        codes[rows] = np.repeat(np.arange(len(PARTS), dtype=np.int8), largest_remainder(len(rows), shares))
    return codes


def class_counts(codes: Codes, labels: npt.NDArray[np.int32], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return rows by part and class; raise DataError naming a class and a part that has none of it."""
    counts = {}
    for code, part in enumerate(PARTS):
        rows = np.bincount(labels[codes == code], minlength=len(classes))
        for name, count in zip(classes, rows.tolist(), strict=True):
            if not count:
                in_all = int((labels == classes.index(name)).sum())
                raise DataError(
                    f"split: class '{name}' has no rows in the {part} part, of {in_all} in all; "
                    "change split in params.yaml or add rows of that class"
                )
        counts[part] = dict(zip(classes, rows.tolist(), strict=True))
    return counts


def prove_apart(codes: Codes, ids: Sequence[str], digests: Sequence[str]) -> Mapping[str, Any]:
    """Return the proof that no id and no content digest is in two parts; raise DataError naming one that is."""
    for what, names in (("id", ids), ("content digest", digests)):
        part_of: dict[str, int] = {}
        for name, code in zip(names, codes.tolist(), strict=True):
            if part_of.setdefault(name, code) != code:
                raise DataError(
                    f"split: {what} {name} is both in the {PARTS[part_of[name]]} and in the {PARTS[code]} part; "
                    "run stage clean again"
                )
    return {
        "rows": len(codes),
        "distinct_ids": len(set(ids)),
        "distinct_content_digests": len(set(digests)),
        "ids_in_two_parts": 0,
        "content_digests_in_two_parts": 0,
    }


def split_dataset(
    clean: Path,
    split: Path,
    *,
    classes: Sequence[str],
    params: SplitParams,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> dict[str, int]:
    """Write to `split` the part of each row of `clean`, and the proof that parts are disjoint; return rows by part."""
    manifest = read_manifest(clean)
    tables = [read_shard(clean / entry.path, _COLUMNS) for entry in manifest.files]
    rows = pa.concat_tables(tables)
    ids, digests, labels = rows["id"].to_pylist(), rows["content_digest"].to_pylist(), rows["label"].to_numpy()
    codes = assign(rows["part"].to_pylist(), labels, digests, params, seed)
    by_class = class_counts(codes, labels, classes)
    by_part = {part: sum(by_class[part].values()) for part in PARTS}
    parts = rows.select(["id"]).append_column("part", pa.array(np.asarray(PARTS, np.object_)[codes]))
    entries: list[FileEntry] = []
    start = 0
    for table in tables:
        entries.append(write_shard(split, len(entries), SPLIT_SCHEMA, [parts.slice(start, table.num_rows)]))
        start += table.num_rows
        on_progress(start, manifest.rows)
    counts = {"parts": by_part, "classes": by_class, "proof": prove_apart(codes, ids, digests)}
    finish_dataset(split, entries, SPLIT_SCHEMA, counts=counts)
    return by_part
