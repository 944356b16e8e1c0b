"""Cleans a data set shard by shard on Spark: every row is examined and decoded first, then the rows are sorted out.

The first pass writes what it decodes aside, with the facts of every row; Spark compares the facts of those rows whose
key another row has, too; the second pass divides what lies aside. So a picture is decoded once, and where all rows of a
shard are kept, its file is only renamed. Of each row eight bytes are kept here, its key.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.cleaning import (
    FOUND_SCHEMA,
    NEEDED_FACTS,
    compared,
    examine,
    facts_schema,
    in_question,
    quarantine_schema,
    reasons,
    rejected_rows,
    separate,
)
from pipeline.data.feature_kinds import OF_CLASSES, Specs, clean_schema
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, sweep_attempts
from pipeline.data.value_counts import occurrences
from pipeline.errors import Bug, DataError
from pipeline.recipe.recipe import EqualRows
from pipeline.records.manifest import TARGET, FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import finish_dataset, shard_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FACTS = "facts"  # a folder aside, beside the decoded rows
_IN_QUESTION = "in_question"  # of those of rows that may equal another one
_BOTH_REJECTED = EqualRows()


@dataclass(frozen=True)
class Folders:
    """Where cleaning reads and writes. What lies `aside` is removed in the end."""

    raw: Path
    clean: Path
    quarantine: Path
    unlabelled: Path

    @property
    def aside(self) -> Path:
        """In what is published, so that it goes with that if cleaning is killed."""
        return self.clean / ".aside"


def clean_dataset(
    session: SparkSession,
    folders: Folders,
    *,
    classes: tuple[str, ...],
    features: Specs,
    is_test_given: bool,
    on_progress: Callable[[int, int], None],
    own: RowColumns = OF_CLASSES,
    equal_rows: EqualRows = _BOTH_REJECTED,
    may_empty_classes: bool = False,
) -> dict[str, Any]:
    """Write the kept rows, the unlabelled ones and the others, each to its folder; return how many, and why.

    `is_test_given`: the source's own test files are the test part. Shard n of each holds rows of shard n of the raw
    data, in order. Raises DataError if a class has no rows left, unless it may be so.
    """
    manifest = read_manifest(folders.raw)
    (folders.aside / _FACTS).mkdir(parents=True)
    aside = run_tasks(
        session,
        partial(examine_shard, folders=folders, classes=len(classes), features=features, own=own),
        list(enumerate(entry.rows for entry in manifest.files)),
        lambda done, _: on_progress(done // 2, manifest.rows),  # each is examined, and put where it belongs
    )
    facts = _facts_in_question(session, folders, manifest, own)
    if facts is None:
        found = FOUND_SCHEMA.empty_table()
    else:
        rejected = compared(facts, classes=classes, is_test_given=is_test_given, equal_rows=equal_rows)
        found = rejected.toArrow().cast(FOUND_SCHEMA).sort_by([("shard", "ascending"), ("position", "ascending")])
    tasks = _shards_to_clean(found, aside)
    cleaned = run_tasks(
        session,
        partial(clean_shard, folders=folders, features=features, own=own),
        [(task, entry.rows) for task, entry in zip(tasks, manifest.files, strict=True)],
        lambda done, _: on_progress((manifest.rows + done) // 2, manifest.rows),
    )
    shutil.rmtree(folders.aside)
    counts = _count(cleaned, manifest.rows, classes, reasons(features), may_empty_classes=may_empty_classes)
    for folder in (folders.clean, folders.quarantine, folders.unlabelled):
        sweep_attempts(folder)
    kept, held_back = clean_schema(features, own), {"parts": counts["unlabelled_parts"]}
    column = {TARGET: manifest.counts[TARGET]} if TARGET in manifest.counts else {}
    finish_dataset(folders.clean, [shard.clean for shard in cleaned], kept, counts={**counts, **column})
    finish_dataset(folders.unlabelled, _written(cleaned, "unlabelled"), kept, counts=held_back)
    rejected = {"rejected": counts["reasons"]}
    finish_dataset(
        folders.quarantine, _written(cleaned, "quarantine"), quarantine_schema(features, own), counts=rejected
    )
    return counts


def examine_shard(
    number: int, folders: Folders, classes: int, features: Specs, own: RowColumns = OF_CLASSES
) -> FileEntry:
    """Write aside the facts of a raw shard's rows, and the usable ones, decoded; return the entry of the latter."""
    facts, usable = examine(read_shard(folders.raw / shard_name(number)), number, classes, features, own)
    publish_shard(folders.aside / _FACTS, number, facts_schema(own), [facts])
    return publish_shard(folders.aside, number, clean_schema(features, own), [usable])


@dataclass(frozen=True)
class ShardToClean:
    """A shard: its number, its rows of FOUND_SCHEMA, and the entry of what lies aside of it."""

    number: int
    found: pa.Table
    aside: FileEntry


@dataclass(frozen=True)
class CleanedShard:
    """The result of cleaning a shard: the written files, the kept rows by label and by the source's part, and so on."""

    clean: FileEntry
    unlabelled: FileEntry | None
    quarantine: FileEntry | None
    labels: Counter[int]  # empty where the target is a number
    parts: Counter[str]
    unlabelled_parts: Counter[str]
    reasons: Counter[str]


def clean_shard(task: ShardToClean, folders: Folders, features: Specs, own: RowColumns = OF_CLASSES) -> CleanedShard:
    """Write shard n of the kept rows, and those of the unlabelled and the rejected ones if there are any."""
    name = shard_name(task.number)
    schema = clean_schema(features, own)
    is_kept, is_held_back, rejected = separate(read_shard(folders.aside / _FACTS / name, NEEDED_FACTS), task.found)
    told = read_shard(folders.aside / name, ["label", "part"])
    unlabelled = quarantine = None
    if is_kept.all():
        clean = task.aside
        _move(folders.aside / name, folders.clean / name)
    else:
        usable = read_shard(folders.aside / name)
        clean = publish_shard(folders.clean, task.number, schema, [usable.filter(pa.array(is_kept))])
        if is_held_back.any():
            held_back = usable.filter(pa.array(is_held_back))
            unlabelled = publish_shard(folders.unlabelled, task.number, schema, [held_back])
    if rejected.num_rows:
        rows = rejected_rows(read_shard(folders.raw / name), rejected, features, own)
        quarantine = publish_shard(folders.quarantine, task.number, quarantine_schema(features, own), [rows])
    kept, held = told.filter(pa.array(is_kept)), told.filter(pa.array(is_held_back))
    return CleanedShard(
        clean=clean,
        unlabelled=unlabelled,
        quarantine=quarantine,
        labels=Counter() if own.is_number else occurrences(kept["label"]),
        parts=occurrences(kept["part"]),
        unlabelled_parts=occurrences(held["part"]),
        reasons=occurrences(rejected["reason"]),
    )


def _move(aside: Path, target: Path) -> None:
    """Put a file where it belongs without writing it again; it stays aside for an attempt that comes later."""
    attempt = target.with_name(f".attempt-{uuid.uuid4().hex}")
    attempt.mkdir()
    try:
        os.link(aside, attempt / target.name)
    except OSError:  # a file system without links
        shutil.copyfile(aside, attempt / target.name)
    (attempt / target.name).replace(target)
    attempt.rmdir()


def _written(cleaned: list[CleanedShard], name: str) -> list[FileEntry]:
    return [entry for shard in cleaned if (entry := getattr(shard, name))]


def _facts_in_question(
    session: SparkSession, folders: Folders, manifest: Manifest, own: RowColumns
) -> DataFrame | None:
    """Return the facts of all rows that may equal another one, of `facts_schema`; None if there are none."""
    from pyspark.sql.pandas.types import from_arrow_schema

    facts = [folders.aside / _FACTS / shard_name(number) for number in range(len(manifest.files))]
    keys = [read_shard(path, ["key"])["key"].drop_null().to_numpy() for path in facts]
    paths = []
    for number, is_asked in enumerate(in_question(keys)):
        if is_asked.any():
            rows = read_shard(facts[number])
            rows = rows.filter(pc.is_valid(rows["key"])).filter(pa.array(is_asked))
            entry = publish_shard(folders.aside / _IN_QUESTION, number, facts_schema(own), [rows])
            paths.append(str(folders.aside / _IN_QUESTION / entry.path))
    return session.read.schema(from_arrow_schema(facts_schema(own))).parquet(*paths) if paths else None


def _shards_to_clean(found: pa.Table, aside: list[FileEntry]) -> list[ShardToClean]:
    bounds = np.searchsorted(found["shard"].to_numpy(), np.arange(len(aside) + 1)).tolist()
    # Taken, not sliced: a slice is sent to its task with all that it is a slice of.
    return [
        ShardToClean(number, found.take(pa.array(range(*ends), pa.int64())), entry)
        for number, (ends, entry) in enumerate(zip(pairwise(bounds), aside, strict=True))
    ]


def _count(
    cleaned: list[CleanedShard],
    rows: int,
    classes: tuple[str, ...],
    in_order: tuple[str, ...],
    *,
    may_empty_classes: bool,
) -> dict[str, Any]:
    """Add up the shards; raise Bug unless every row is kept, held back or rejected, DataError if a class has none."""
    labels, parts, unlabelled_parts = Counter[int](), Counter[str](), Counter[str]()
    rejections: Counter[str] = Counter()
    for shard in cleaned:
        labels.update(shard.labels)
        parts.update(shard.parts)
        unlabelled_parts.update(shard.unlabelled_parts)
        rejections.update(shard.reasons)
    kept = sum(shard.clean.rows for shard in cleaned)
    unlabelled = sum(entry.rows for entry in _written(cleaned, "unlabelled"))
    rejected = sum(entry.rows for entry in _written(cleaned, "quarantine"))
    counted = (parts.total(), unlabelled_parts.total(), rejections.total())
    if kept + unlabelled + rejected != rows or counted != (kept, unlabelled, rejected):
        raise Bug(
            f"clean: {rows} rows in, but {kept} kept, {unlabelled} held back and {rejected} rejected; please report it"
        )
    why = ", ".join(f"{count} {reason}" for reason, count in rejections.most_common()) or "none rejected"
    if unlabelled:
        why += f", {unlabelled} without a label"
    if not kept:
        raise DataError(f"data/raw: none of its {rows} rows can be kept ({why}); check data.features and data.classes")
    for label, name in enumerate(classes):
        if not labels[label] and not may_empty_classes:
            raise DataError(
                f"data/raw: class '{name}' (label {label}) has no rows left of {rows} ({why}); "
                "check data.classes in params.yaml against the source"
            )
    of_source = sorted(rejections.keys() - set(in_order))
    return {
        "in": rows,
        "kept": kept,
        "unlabelled": unlabelled,
        "rejected": rejected,
        "reasons": {reason: rejections[reason] for reason in (*of_source, *in_order) if rejections[reason]},
        "classes": {name: labels[label] for label, name in enumerate(classes)},
        "source_parts": dict(sorted(parts.items())),
        "unlabelled_parts": dict(sorted(unlabelled_parts.items())),
    }
