"""Which row belongs to the training, the validation and the test part, and the proof that nothing is in two.

A hash of the seed and the digest of a row's content decides, held against two thresholds; never its position, or what
other rows there are. So shuffling the source changes nothing, rows with equal content always go to the same part, and
data that grow move no row. The thresholds are the shares, or those of each class in a frozen split.

Where the recipe asks for the source's own parts, its test rows are the test part, and its validation rows, if it has
any, are the validation part; if it has none, that is a share of its training rows.

Rows are read shard by shard; of each, some twenty bytes are kept: its part, and two hashes for the proof.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.apartness import Hashes, Names, prove_apart
from pipeline.data.cleaning import DUPLICATE
from pipeline.data.frozen_split import HASHES, FrozenSplit, Thresholds
from pipeline.data.shard_tasks import read_shard
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, iter_tables, write_shard

SPLIT_SCHEMA = pa.schema([("id", pa.string()), ("part", pa.string())])
_REJECTED_SCHEMA = pa.schema(
    [("label", pa.int32()), ("part", pa.string()), ("content_digest", pa.string()), ("reason", pa.string())]
)
_COLUMNS = ("id", "label", "part", "content_digest")
PARTS = ("train", "validation", "test")  # a part's code is its index
_TRAIN, _VALIDATION, _TEST = range(3)
Codes = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]  # rows by part and label, `[part, label]`


def stable_hash(names: Sequence[str], seed: int) -> Hashes:
    """Return 64 well-mixed bits per content digest or id, `[row] uint64`: the first of sha256 over seed and name."""
    prefix = f"split {seed} ".encode()
    content = b"".join(hashlib.sha256(prefix + name.encode()).digest()[:8] for name in names)
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

    def hashes(self, digests: Sequence[str]) -> Hashes:
        """Return the hash of each content digest, `[row]`."""
        return stable_hash(digests, self.seed)

    def codes(self, labels: npt.NDArray[np.int32], hashes: Hashes) -> Codes:
        """Return the part of each row of known label, `[row] int8`, an index into PARTS."""
        last = np.array([[bound - 1 for bound in pair] for pair in self.thresholds], np.uint64)  # 2^64 has no 64 bits
        is_beyond = hashes[:, None] > last[labels]
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
    hashes: Hashes,
    params: SplitParams,
    division: Division,
    *,
    is_validation_given: bool = False,
) -> Codes:
    """Return each row's part, `[row] int8`, an index into PARTS. The first three arguments are `[row]`.

    `is_validation_given`: the source has validation rows of its own.
    """
    codes = division.codes(labels, hashes)
    if params.method == "source":
        if is_validation_given:
            codes[:] = _TRAIN
            codes[_of_part(source_parts, "validation")] = _VALIDATION
        codes[test_rows(source_parts)] = _TEST
    return codes


def is_validation_given(clean: Manifest, params: SplitParams) -> bool:
    """Whether the validation part is the source's own: asked for, and it has such rows among the kept ones."""
    return params.method == "source" and bool(clean.counts.get("source_parts", {}).get("validation"))


def test_rows(source_parts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which rows stand in the source's own test files, `[row] bool`."""
    return _of_part(source_parts, "test")


def _of_part(source_parts: Sequence[str], name: str) -> npt.NDArray[np.bool_]:
    return np.array([part == name for part in source_parts], np.bool_)


def require_test_rows(number: int, params: SplitParams) -> None:
    """Raise DataError if the source is to give the test part, and has so many rows of it: none."""
    if params.method == "source" and not number:
        raise DataError(
            "data/clean: the source has no test files of its own; "
            "set split.method to stratified or hash, and split.test above 0, in params.yaml"
        )


def counted(codes: Codes, labels: npt.NDArray[np.int32], classes: int) -> Counts:
    """Return rows by part and label, `[part, label]`."""
    pairs = codes.astype(np.int64) * classes + labels
    return np.bincount(pairs, minlength=len(PARTS) * classes).reshape(len(PARTS), classes)


def class_counts(counts: Counts, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return rows by part and class; raise DataError naming a class and a part that has none of it."""
    for part, row in zip(PARTS, counts, strict=True):
        for label, name in enumerate(classes):
            if not row[label]:
                raise DataError(
                    f"split: class '{name}' has no rows in the {part} part, of {counts[:, label].sum()} in all; "
                    "change split in params.yaml, add rows of that class, or give each class its shares: "
                    "`ratchet split freeze`"
                )
    return {part: dict(zip(classes, row, strict=True)) for part, row in zip(PARTS, counts.tolist(), strict=True)}


def lost_test_rows(rejected: Iterable[pa.Table], params: SplitParams, division: Division) -> dict[str, int]:
    """Return how many rows the test part would have beside those it has, by the reason for which they are rejected.

    `rejected` have the columns label, part, content_digest and reason. Equal rows count once; a duplicate is no loss.
    Unless the source gives the test part, a row of unknown label is in none.
    """
    once: set[tuple[str, str]] = set()
    for table in rejected:
        rows = table.filter(pc.not_equal(table["reason"], DUPLICATE))
        if params.method == "source":
            lost = rows.filter(pa.array(test_rows(rows["part"].to_pylist())))
        else:
            label = rows["label"]
            is_known = pc.and_(pc.greater_equal(label, 0), pc.less(label, len(division.thresholds)))
            rows = rows.filter(is_known)  # a missing label is dropped, too
            codes = division.codes(rows["label"].to_numpy(), division.hashes(rows["content_digest"].to_pylist()))
            lost = rows.filter(pa.array(codes == _TEST))
        once.update(zip(lost["reason"].to_pylist(), lost["content_digest"].to_pylist(), strict=True))
    return dict(sorted(Counter(reason for reason, _ in once).items()))


def _rejected_rows(quarantine: Path) -> Iterator[pa.Table]:
    names = _REJECTED_SCHEMA.names
    for entry in read_manifest(quarantine).files:
        yield read_shard(quarantine / entry.path, names).select(names).cast(_REJECTED_SCHEMA)


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
    is_given = is_validation_given(manifest, params)
    codes = np.empty(manifest.rows, np.int8)
    of_ids, of_digests = np.empty((2, manifest.rows), np.uint64)
    by_label = np.zeros((len(PARTS), len(classes)), np.int64)
    entries: list[FileEntry] = []
    end = 0
    for number, file in enumerate(manifest.files):
        rows = read_shard(clean / file.path, _COLUMNS)
        here = slice(end, end := end + rows.num_rows)
        ids, labels = rows["id"], rows["label"].to_numpy()
        of_ids[here] = division.hashes(ids.to_pylist())
        of_digests[here] = division.hashes(rows["content_digest"].to_pylist())
        source_parts = rows["part"].to_pylist()
        codes[here] = assign(source_parts, labels, of_digests[here], params, division, is_validation_given=is_given)
        by_label += counted(codes[here], labels, len(classes))
        parts = pa.array(np.asarray(PARTS, np.object_)[codes[here]])
        entries.append(write_shard(split, number, SPLIT_SCHEMA, [pa.table({"id": ids, "part": parts})]))
        on_progress(end, manifest.rows)

    require_test_rows(int(by_label[_TEST].sum()), params)
    by_class = class_counts(by_label, classes)
    by_part = {part: sum(by_class[part].values()) for part in PARTS}
    counts = {
        "parts": by_part,
        "classes": by_class,
        "proof": prove_apart(
            PARTS,
            codes,
            Names(of_ids, lambda: _names(clean, "id", division)),
            Names(of_digests, lambda: _names(clean, "content_digest", division)),
        ),
        "lost_test_rows": lost_test_rows(_rejected_rows(quarantine), params, division),
    }
    finish_dataset(split, entries, SPLIT_SCHEMA, counts=counts)
    return by_part


def _names(clean: Path, column: str, division: Division) -> Iterator[tuple[list[str], Hashes]]:
    for table in iter_tables(clean, [column], verify=False):  # verified when its rows were divided
        names = table[column].to_pylist()
        yield names, division.hashes(names)
