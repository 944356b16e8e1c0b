"""Which row belongs to the training, the validation and the test part, and the proof that nothing is in two.

A hash of the seed and the digest of a row's content decides, held against two thresholds; never its position, or what
other rows there are. So shuffling the source changes nothing, rows with equal content always go to the same part, and
data that grow move no row. The thresholds are the shares, or those of each class in a frozen split, or of each bin of a
number. With method `grouped` it is the hash of the row's group, in place of its content's.

Where the recipe asks for the source's own parts, its test rows are the test part, and its validation rows, if it has
any, are the validation part; if it has none, that is a share of its training rows.

With method `time` two instants decide (`instants.py`): the latest rows are the test part, those before it the
validation part. They are set by the rows that are there, or by a frozen split.

Rows are read shard by shard; of each, some forty bytes are kept: its part, its label, and what the proof needs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.apartness import Hashes, Names, prove_apart
from pipeline.data.cleaning import DUPLICATE
from pipeline.data.frozen_split import HASHES, FrozenSplit, Thresholds
from pipeline.data.instants import Instants, instants_of, prove_in_order, times_of
from pipeline.data.row_digests import leading_bits
from pipeline.data.shard_tasks import read_shard
from pipeline.data.strata import Edges, Strata, quantile_edges, strata_of
from pipeline.errors import Bug, DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, iter_tables, write_shard

SPLIT_SCHEMA = pa.schema([("id", pa.string()), ("part", pa.string())])
_COLUMNS = ("id", "label", "part", "content_digest")
# The column of rows that a method needs beside these.
_ROLES = {"grouped": ("group", pa.string()), "time": ("time", pa.timestamp("us", "UTC"))}
_DIGEST = "content_digest"
PARTS = ("train", "validation", "test")  # a part's code is its index
_TRAIN, _VALIDATION, _TEST = range(3)
Codes = npt.NDArray[np.int8]
Labels = npt.NDArray[Any]  # `[row]` int32 of classes, or float64 numbers
Counts = npt.NDArray[np.int64]  # rows by part and stratum, `[part, stratum]`
_FREEZE = "give each class its shares: `ratchet split freeze`"
# What to do where a part lacks rows, by the method.
_ADVICE = {
    "source": _FREEZE,
    "stratified": _FREEZE,
    "hash": "give each class its shares: split.method stratified, and `ratchet split freeze`",
    "grouped": "take smaller groups: all rows of one go to one part",
    "time": "take rows of it at other times: the parts follow each other",
}


def stable_hash(names: Sequence[str], seed: int) -> Hashes:
    """Return 64 well-mixed bits per content digest or id, `[row] uint64`: the first of sha256 over seed and name."""
    prefix = f"split {seed} ".encode()
    content = b"".join(hashlib.sha256(prefix + name.encode()).digest()[:8] for name in names)
    return np.frombuffer(content, ">u8").astype(np.uint64)


def passing_hash(names: Sequence[str]) -> Hashes:
    """Return 64 bits per name, `[row] uint64`, which are others in another process: for a proof, not for a result."""
    return np.fromiter(map(hash, names), np.int64, len(names)).astype(np.uint64)


def _any_hash(what: str, names: pa.ChunkedArray) -> Hashes:
    """Return 64 bits per name, `[row] uint64`, for a proof: of digests those that they begin with."""
    return leading_bits(names) if what == _DIGEST else passing_hash(names.to_pylist())


@dataclass(frozen=True)
class Division:
    """By which hashes rows are divided: the hashes' seed, and the thresholds of each stratum, `[stratum]`.

    Strata are classes, or a number's bins between `edges`. With method `time` there are `instants` in their place, once
    they are known.
    """

    seed: int
    thresholds: Sequence[Thresholds]
    edges: Edges | None = None
    instants: Instants | None = None

    @classmethod
    def of(cls, params: SplitParams, seed: int, classes: Sequence[str], frozen: FrozenSplit | None) -> Self:
        """Return the division that a recipe asks for; raise UsageError for a class that the frozen split lacks.

        Without a frozen split every bin of a number would have the same thresholds: there is one.
        """
        shares = [of_shares(params)] * (len(classes) or 1)
        if frozen is not None and params.frozen is not None:
            thresholds = frozen.of_classes(classes, params.frozen) or shares
            return cls(frozen.seed, thresholds, frozen.edges, frozen.instants_in_force)
        return cls(seed, shares, None if classes else ())

    def hashes(self, digests: Sequence[str]) -> Hashes:
        """Return the hash of each content digest, `[row]`."""
        return stable_hash(digests, self.seed)

    def codes(self, labels: Labels, hashes: Hashes) -> Codes:
        """Return the part of each row of known label, `[row] int8`, an index into PARTS."""
        last = np.array([[bound - 1 for bound in pair] for pair in self.thresholds], np.uint64)  # 2^64 has no 64 bits
        is_beyond = hashes[:, None] > last[strata_of(labels, self.edges)]
        codes: Codes = is_beyond.sum(axis=1, dtype=np.int8)
        return codes


def of_shares(params: SplitParams) -> Thresholds:
    """Return the thresholds that are the shares themselves."""
    first = max(1, round(params.train * HASHES))
    second = HASHES if params.test == 0 else round((params.train + params.validation) * HASHES)
    return first, max(first, min(second, HASHES))


def columns_of(params: SplitParams) -> tuple[str, ...]:
    """Return the columns of clean rows that decide their parts, and that the proof needs."""
    return (*_COLUMNS, *(name for name, _ in _roles(params)))


def _roles(params: SplitParams) -> tuple[tuple[str, pa.DataType], ...]:
    return (_ROLES[params.method],) if params.method in _ROLES else ()


def hashed_column(params: SplitParams) -> str:
    """Return the column whose hash decides a row's part."""
    return "group" if params.method == "grouped" else "content_digest"


def assign(
    source_parts: Sequence[str],
    labels: Labels,
    hashes: Hashes,
    params: SplitParams,
    division: Division,
    *,
    is_validation_given: bool = False,
) -> Codes:
    """Return each row's part by its hash, `[row] int8`, an index into PARTS. The first three arguments are `[row]`.

    `is_validation_given`: the source has validation rows of its own.
    """
    codes = division.codes(labels, hashes)
    if params.method == "source":
        if is_validation_given:
            codes[:] = _TRAIN
            codes[_of_part(source_parts, "validation")] = _VALIDATION
        codes[test_rows(source_parts)] = _TEST
    return codes


def assign_rows(
    rows: pa.Table,
    params: SplitParams,
    division: Division,
    *,
    hashes: Hashes | None = None,
    is_validation_given: bool = False,
) -> Codes:
    """Return the part of each row that has `columns_of` these, `[row] int8`, an index into PARTS.

    `hashes` are those of the `hashed_column`, `[row]`, where they are known.
    """
    if params.method == "time":
        if division.instants is None:
            raise Bug("split: rows are divided by time before the instants are known; please report it")
        return division.instants.codes(times_of(rows["time"]))
    return assign(
        rows["part"].to_pylist() if params.method == "source" else (),
        rows["label"].to_numpy(),
        division.hashes(rows[hashed_column(params)].to_pylist()) if hashes is None else hashes,
        params,
        division,
        is_validation_given=is_validation_given,
    )


def with_instants(clean: Path, params: SplitParams, division: Division) -> Division:
    """Return a division that has its instants, if the method needs some: those of the rows of `clean`."""
    if params.method != "time" or division.instants is not None:
        return division
    times = [times_of(rows["time"]) for rows in iter_tables(clean, ["time"], verify=False)]
    every = np.concatenate([*times, np.empty(0, np.int64)])
    return replace(division, instants=instants_of(every, (params.train, params.validation, params.test)))


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


def strata_to_count(params: SplitParams, classes: Sequence[str], division: Division, labels: Labels) -> Strata:
    """Return by what the rows of each part are counted: classes; bins of a number if it is stratified; else nothing.

    Bins are those of a frozen split, or those of the labels, `[row]`.
    """
    if classes:
        return Strata.of_classes(classes)
    if params.method != "stratified":
        return Strata.of_edges(())
    return Strata.of_edges(division.edges or () if params.frozen else quantile_edges(labels, params.quantiles))


def counted(codes: Codes, strata: npt.NDArray[Any], number: int) -> Counts:
    """Return rows by part and stratum, `[part, stratum]`, from each row's part and stratum and the number of strata."""
    pairs = codes.astype(np.int64) * number + strata
    return np.bincount(pairs, minlength=len(PARTS) * number).reshape(len(PARTS), number)


def stratum_counts(counts: Counts, strata: Strata, method: str) -> dict[str, dict[str, int]]:
    """Return rows by part and stratum; raise DataError naming a stratum and a part that has none of it."""
    for part, row in zip(PARTS, counts, strict=True):
        for number, name in enumerate(strata.names):
            if not row[number]:
                raise DataError(_lacking(part, name, int(counts[:, number].sum()), strata, method))
    return {part: dict(zip(strata.names, row, strict=True)) for part, row in zip(PARTS, counts.tolist(), strict=True)}


def _lacking(part: str, name: str, rows: int, strata: Strata, method: str) -> str:
    """Return what is wrong where a part has no rows of a stratum, and what to do."""
    if strata.edges is None:
        return (
            f"split: class '{name}' has no rows in the {part} part, of {rows} in all; "
            f"change split in params.yaml, add rows of that class, or {_ADVICE[method]}"
        )
    if strata.edges:
        return (
            f"split: no row whose target is {name} is in the {part} part, of {rows} in all; lower split.quantiles, "
            "add such rows, or give each bin its shares: `ratchet split freeze`"
        )
    return f"split: no row is in the {part} part, of {rows} in all; change split in params.yaml, or add rows"


def lost_test_rows(rejected: Iterable[pa.Table], params: SplitParams, division: Division) -> dict[str, int]:
    """Return how many rows the test part would have beside those it has, by the reason for which they are rejected.

    `rejected` have the columns label, part, content_digest and reason, and the group or the time if that decides. Equal
    rows count once; a duplicate is no loss. Unless the source gives the test part, a row of unknown label is in none.
    """
    once: set[tuple[str, str]] = set()
    for table in rejected:
        rows = table.filter(pc.not_equal(table["reason"], DUPLICATE))
        if params.method == "source":
            lost = rows.filter(pa.array(test_rows(rows["part"].to_pylist())))
        else:
            rows = rows.filter(_is_known(rows["label"], division))  # a missing label is dropped, too
            for name, _ in _roles(params):
                rows = rows.filter(pc.is_valid(rows[name]))
            lost = rows.filter(pa.array(assign_rows(rows, params, division) == _TEST))
        once.update(zip(lost["reason"].to_pylist(), lost["content_digest"].to_pylist(), strict=True))
    return dict(sorted(Counter(reason for reason, _ in once).items()))


def _is_known(label: pa.ChunkedArray, division: Division) -> pa.ChunkedArray:
    if pa.types.is_floating(label.type):
        return pc.is_finite(label)
    return pc.and_(pc.greater_equal(label, 0), pc.less(label, len(division.thresholds)))


def _rejected_rows(quarantine: Path, classes: Sequence[str], params: SplitParams) -> Iterator[pa.Table]:
    label = pa.int32() if classes else pa.float64()
    schema = pa.schema(
        [
            ("label", label),
            ("part", pa.string()),
            ("content_digest", pa.string()),
            ("reason", pa.string()),
            *_roles(params),
        ]
    )
    for entry in read_manifest(quarantine).files:
        yield read_shard(quarantine / entry.path, schema.names).select(schema.names).cast(schema)


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
    division = with_instants(clean, params, division)
    codes = np.empty(manifest.rows, np.int8)
    labels = np.empty(manifest.rows, np.int32 if classes else np.float64)
    hashes_of: dict[str, Callable[[Any], Hashes]]
    hashes_of = {name: partial(_any_hash, name) for name in proven(manifest.columns)}
    of_names = {name: np.empty(manifest.rows, np.uint64) for name in hashes_of}
    if params.method != "time":
        hashes_of[hashed_column(params)] = lambda names: division.hashes(names.to_pylist())
    needed = list(dict.fromkeys((*columns_of(params), *of_names)))
    times = np.empty(manifest.rows if params.method == "time" else 0, np.int64)
    entries: list[FileEntry] = []
    end = 0
    for number, file in enumerate(manifest.files):
        rows = read_shard(clean / file.path, needed)
        here = slice(end, end := end + rows.num_rows)
        for name, of_name in of_names.items():
            of_name[here] = hashes_of[name](rows[name])
        labels[here] = rows["label"].to_numpy()
        if params.method == "time":
            times[here] = times_of(rows["time"])
        hashes = of_names[hashed_column(params)][here]
        codes[here] = assign_rows(rows, params, division, hashes=hashes, is_validation_given=is_given)
        parts = pa.array(PARTS).take(pa.array(codes[here]))
        entries.append(write_shard(split, number, SPLIT_SCHEMA, [pa.table({"id": rows["id"], "part": parts})]))
        on_progress(end, manifest.rows)

    require_test_rows(int((codes == _TEST).sum()), params)
    strata = strata_to_count(params, classes, division, labels)
    by_stratum = stratum_counts(counted(codes, strata.of(labels), len(strata.names)), strata, params.method)
    by_part = {part: sum(by_stratum[part].values()) for part in PARTS}
    names = {name: Names(found, partial(_names, clean, name, hashes_of[name])) for name, found in of_names.items()}
    counts: dict[str, Any] = {
        "parts": by_part,
        "classes": by_stratum if classes else {part: {} for part in PARTS},
        "proof": prove_apart(PARTS, codes, names),
        "lost_test_rows": lost_test_rows(_rejected_rows(quarantine, classes, params), params, division),
    }
    if strata.edges:
        counts |= {"bins": by_stratum, "edges": list(strata.edges)}
    if division.instants is not None:
        counts |= {"instants": division.instants.shown(), "times": prove_in_order(PARTS, codes, times)}
    finish_dataset(split, entries, SPLIT_SCHEMA, counts=counts)
    return by_part


def proven(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns, of those of clean rows, of which it is proven that no value is in two parts.

    A group is one by whatever rows are divided: the parts of a source, or of times, may be apart in it, or not.
    """
    return ("id", "content_digest", *(("group",) if "group" in columns else ()))


def _names(clean: Path, column: str, hashes: Callable[[Any], Hashes]) -> Iterator[tuple[list[str], Hashes]]:
    for table in iter_tables(clean, [column], verify=False):  # verified when its rows were divided
        yield table[column].to_pylist(), hashes(table[column])
