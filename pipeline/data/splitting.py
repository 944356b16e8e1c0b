"""Which row belongs to the training, the validation and the test part, and the proof that nothing is in two.

A hash of the seed and the digest of a row's content decides, held against two thresholds; never its position, or what
other rows there are. So shuffling the source changes nothing, rows with equal content always go to the same part, and
data that grow move no row. The thresholds are the shares, or those of each class in a frozen split.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.cleaning import DUPLICATE
from pipeline.data.frozen_split import HASHES, FrozenSplit, Thresholds
from pipeline.data.shard_tasks import read_shard
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.records.manifest import FileEntry
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, write_shard

SPLIT_SCHEMA = pa.schema([("id", pa.string()), ("part", pa.string())])
_REJECTED_SCHEMA = pa.schema(
    [("label", pa.int32()), ("part", pa.string()), ("content_digest", pa.string()), ("reason", pa.string())]
)
_COLUMNS = ("id", "label", "part", "content_digest")
PARTS = ("train", "validation", "test")  # a part's code is its index
Codes = npt.NDArray[np.int8]


def stable_hash(digests: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Return 64 well-mixed bits per content digest, `[row] uint64`: the first bits of sha256 over seed and digest."""
    prefix = f"split {seed} ".encode()
    content = b"".join(hashlib.sha256(prefix + digest.encode()).digest()[:8] for digest in digests)
    return np.frombuffer(content, ">u8").astype(np.uint64)


@dataclass(frozen=True)
class Division:
    """By which hashes rows are divided: the hashes' seed, and the thresholds of each label, `[label]`."""

    seed: int
    thresholds: Sequence[Thresholds]

    @classmethod
    def of(cls, params: SplitParams, seed: int, classes: Sequence[str], frozen: FrozenSplit | None) -> Self:
        """Return the division that a recipe asks for; raise UsageError for a class that the frozen split lacks."""
        if frozen is not None and params.frozen is not None:
            return cls(frozen.seed, frozen.of_classes(classes, params.frozen))
        return cls(seed, [of_shares(params)] * len(classes))

    def codes(self, labels: npt.NDArray[np.int32], digests: Sequence[str]) -> Codes:
        """Return the part of each row of known label, `[row] int8`, an index into PARTS."""
        last = np.array([[bound - 1 for bound in pair] for pair in self.thresholds], np.uint64)  # 2^64 has no 64 bits
        is_beyond = stable_hash(digests, self.seed)[:, None] > last[labels]
        codes: Codes = is_beyond.sum(axis=1, dtype=np.int8)
        return codes


def of_shares(params: SplitParams) -> Thresholds:
    """Return the thresholds that are the shares themselves."""
    first = max(1, round(params.train * HASHES))
    second = HASHES if params.test == 0 else round((params.train + params.validation) * HASHES)
    return first, max(first, min(second, HASHES))


def assign(
    source_parts: Sequence[str],
    labels: npt.NDArray[np.int32],
    digests: Sequence[str],
    params: SplitParams,
    division: Division,
) -> Codes:
    """Return each row's part, `[row] int8`, an index into PARTS. The first three arguments are `[row]`.

    Raises DataError if method `source` finds no test rows in the source.
    """
    codes = division.codes(labels, digests)
    if params.method == "source":
        is_test = test_rows(source_parts)
        if not is_test.any():
            raise DataError(
                "data/clean: the source has no test files of its own; "
                "set split.method to stratified or hash, and split.test above 0, in params.yaml"
            )
        codes[is_test] = PARTS.index("test")
    return codes


def test_rows(source_parts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which rows stand in the source's own test files, `[row] bool`."""
    return np.array([part == "test" for part in source_parts], np.bool_)


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
                    "change split in params.yaml, add rows of that class, or give each class its shares: "
                    "`ratchet split freeze`"
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


def lost_test_rows(rejected: pa.Table, params: SplitParams, division: Division) -> dict[str, int]:
    """Return how many rows the test part would have beside those it has, by the reason for which they are rejected.

    `rejected` has the columns label, part, content_digest and reason. Equal rows count once; a duplicate is no loss.
    Unless the source gives the test part, a row of unknown label is in none.
    """
    rows = rejected.filter(pc.not_equal(rejected["reason"], DUPLICATE))
    if params.method == "source":
        lost = rows.filter(pa.array(test_rows(rows["part"].to_pylist())))
    else:
        label = rows["label"]
        is_known = pc.and_(pc.greater_equal(label, 0), pc.less(label, len(division.thresholds)))
        rows = rows.filter(is_known)  # a missing label is dropped, too
        codes = division.codes(rows["label"].to_numpy(), rows["content_digest"].to_pylist())
        lost = rows.filter(pa.array(codes == PARTS.index("test")))
    once = set(zip(lost["reason"].to_pylist(), lost["content_digest"].to_pylist(), strict=True))
    return dict(sorted(Counter(reason for reason, _ in once).items()))


def _rejected_rows(quarantine: Path) -> pa.Table:
    names = _REJECTED_SCHEMA.names
    tables = [read_shard(quarantine / entry.path, names) for entry in read_manifest(quarantine).files]
    return pa.concat_tables([_REJECTED_SCHEMA.empty_table(), *(t.select(names).cast(_REJECTED_SCHEMA) for t in tables)])


def split_dataset(
    clean: Path,
    quarantine: Path,
    split: Path,
    *,
    classes: Sequence[str],
    params: SplitParams,
    division: Division,
    on_progress: Callable[[int, int], None],
) -> dict[str, int]:
    """Write to `split` the part of each row of `clean`, and the proof that parts are disjoint; return rows by part.

    What was rejected, `quarantine`, is only counted: how many of its rows the test part lacks.
    """
    manifest = read_manifest(clean)
    tables = [read_shard(clean / entry.path, _COLUMNS) for entry in manifest.files]
    rows = pa.concat_tables(tables)
    ids, digests, labels = rows["id"].to_pylist(), rows["content_digest"].to_pylist(), rows["label"].to_numpy()
    codes = assign(rows["part"].to_pylist(), labels, digests, params, division)
    by_class = class_counts(codes, labels, classes)
    by_part = {part: sum(by_class[part].values()) for part in PARTS}
    parts = rows.select(["id"]).append_column("part", pa.array(np.asarray(PARTS, np.object_)[codes]))
    entries: list[FileEntry] = []
    start = 0
    for table in tables:
        entries.append(write_shard(split, len(entries), SPLIT_SCHEMA, [parts.slice(start, table.num_rows)]))
        start += table.num_rows
        on_progress(start, manifest.rows)
    counts = {
        "parts": by_part,
        "classes": by_class,
        "proof": prove_apart(codes, ids, digests),
        "lost_test_rows": lost_test_rows(_rejected_rows(quarantine), params, division),
    }
    finish_dataset(split, entries, SPLIT_SCHEMA, counts=counts)
    return by_part
