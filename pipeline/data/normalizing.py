"""From clean rows to prepared ones, fixed in size, one folder per part. Only the training part is fitted on.

What a kind learns before it prepares anything (a mean, a vocabulary) is learned in a pass of its own over the training
rows. Rows that cannot stay once that is known are left out, each with its reason. The validation and the
test rows are written a second time as a served model takes them, so that models which have learned something else can
be asked about them, and people can look at them. What is learned also tells people how the columns are spread.

Prepared rows stand in the order of their ids, so training is the same whatever the order of the source's rows; only
where a feature is a picture they stand as in the clean data, and rows so large are not written twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.column_summaries import spread_of
from pipeline.data.feature_kinds import (
    OF_CLASSES,
    Specs,
    clean_names,
    clean_schema,
    fitted,
    joined,
    learn,
    learns,
    left_out,
    picture_of,
    prepare,
    prepared_table,
    summaries,
    working_bytes,
)
from pipeline.data.id_order import Run, Unordered, put_in_order, write_run
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, slices, sweep_attempts
from pipeline.data.source_rows import rows_per_shard
from pipeline.data.value_counts import ValueCounts, added, counted, occurrences
from pipeline.errors import DataError
from pipeline.records.columns import Columns, Distribution
from pipeline.records.manifest import TARGET, FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import finish_dataset, prepared_schema, shard_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BLOCK_BYTES = 16 * 2**20  # prepared at a time
_TRAIN = "train"
SERVED_PARTS = ("validation", "test")


@dataclass(frozen=True)
class Normalized:
    """Where normalizing writes: the parts, rows of some as a served model takes them, and the rows left out."""

    prepared: Path
    served: Path
    left_out: Path


@dataclass(frozen=True)
class ShardToNormalize:
    """A shard of the clean data, and by part the number of the shard that gets its rows of it as they stand there."""

    number: int
    number_in_part: Mapping[str, int]


@dataclass(frozen=True)
class NormalizedShard:
    """The result of normalizing a shard: the written files, by part the rows by label, and what fitting needs.

    Where the label is a number, `targets` are those of training rows.
    """

    files: dict[Path, FileEntry]  # by the folder of the data set
    runs: dict[Path, Run]  # in place of files where the rows have to be put in order
    labels: dict[str, Counter[int]]
    partials: dict[str, list[dict[str, Any]]]  # one for each piece of the shard, by feature
    left_out: list[FileEntry]
    reasons: Counter[str]
    targets: list[ValueCounts]


def left_out_schema(own: RowColumns = OF_CLASSES) -> pa.Schema:
    """Return the schema of rows that are left out: which they are, and why."""
    of_row = [("id", pa.string()), ("label", own.label), ("part", pa.string()), ("source", pa.string())]
    why = [("reason", pa.string()), ("column", pa.string()), ("detail", pa.string())]
    return pa.schema([*of_row, ("row", pa.int64()), *why])


def served_schema(features: Specs) -> pa.Schema:
    """Return the schema of rows as a served model takes them: of features that learn, what clean rows hold."""
    whole = clean_schema(features)
    return pa.schema([("id", pa.string()), *(whole.field(name) for name in clean_names(_learning(features)))])


def normalize_dataset(
    session: SparkSession,
    clean: Path,
    split: Path,
    to: Normalized,
    *,
    features: Specs,
    on_progress: Callable[[int, int], None],
    own: RowColumns = OF_CLASSES,
) -> tuple[dict[str, int], Columns]:
    """Write the rows of `clean` with their features prepared, each part to a folder.

    Return rows by part, and what the training part holds of each column.

    Every part's manifest has the features as they were fitted on the training part. Raises DataError if `split` does
    not list the shards of `clean`, or if a part has no rows left.
    """
    rows, parts = read_manifest(clean), read_manifest(split)
    if [(entry.path, entry.rows) for entry in rows.files] != [(entry.path, entry.rows) for entry in parts.files]:
        raise DataError(f"{split}: its shards are not those of {clean}; run stage split again")
    tasks = _tasks(split, parts)
    is_ordered = picture_of(features) is None
    passes = 1 + bool(_learning(features)) + is_ordered
    begun = iter(range(passes))

    def progress() -> Callable[[int, int], None]:
        number = next(begun)
        return lambda done, asked: on_progress((number * rows.rows + done * rows.rows // asked) // passes, rows.rows)

    told = []
    if _learning(features):
        of_training = [(task, entry.rows) for task, entry in zip(tasks, parts.files, strict=True)]
        learning = partial(learn_shard, clean=clean, split=split, features=features)
        learned = run_tasks(session, learning, of_training, progress())
        pieces = joined(features, [each for shard in learned for each in shard])
        known = {spec.name: spec for spec in fitted(_learning(features), pieces)}
        features = tuple(known.get(spec.name, spec) for spec in features)  # the others learn from what is prepared
        told += summaries(features, pieces)
    done = run_tasks(
        session,
        partial(normalize_shard, clean=clean, split=split, to=to, features=features, own=own, is_ordered=is_ordered),
        [(task, entry.rows) for task, entry in zip(tasks, parts.files, strict=True)],
        progress(),
    )
    gathered = [each for shard in done for each in shard.partials.get(_TRAIN, ())]
    features = fitted(features, gathered)
    told += summaries(features, gathered)
    schemas = {to.prepared / part: prepared_schema(features, own) for part in parts.counts["classes"]}
    schemas |= {to.served / part: served_schema(features) for part in SERVED_PARTS}
    if is_ordered:
        written = put_in_order(session, _unordered(done, schemas, rows_per_shard(features)), progress())
    else:
        written = {folder: [shard.files[folder] for shard in done if folder in shard.files] for folder in schemas}
    by_part = {}
    for part, by_class in parts.counts["classes"].items():
        classes, entries = [] if own.is_number else list(by_class), written[to.prepared / part]
        target = rows.counts.get(TARGET)
        by_part[part] = _finish_part(to.prepared / part, part, done, entries, features, classes, own, target)
    for part in SERVED_PARTS:
        (to.served / part).mkdir(parents=True, exist_ok=True)
        sweep_attempts(to.served / part)
        finish_dataset(to.served / part, written[to.served / part], served_schema(features))
    sweep_attempts(to.left_out)
    rejected = [entry for shard in done for entry in shard.left_out]
    finish_dataset(to.left_out, rejected, left_out_schema(own), counts={"rejected": _reasons(done)})
    in_order = [each for spec in features for each in told if each.name == spec.name]
    return by_part, Columns(target=_target(done), columns=tuple(in_order))


def learn_shard(task: ShardToNormalize, clean: Path, split: Path, features: Specs) -> list[dict[str, Any]]:
    """Return what is learned before anything is prepared from the training rows of a shard, piece by piece."""
    if _TRAIN not in task.number_in_part:
        return []
    names = ["id", *clean_names(_learning(features))]
    chosen = _rows_of_parts(task, clean, split, names, [_TRAIN])[_TRAIN]
    return [learn(features, piece) for piece in slices(chosen, max(1, _BLOCK_BYTES // working_bytes(features)))]


def _unordered(
    done: Sequence[NormalizedShard], schemas: Mapping[Path, pa.Schema], most_rows: int
) -> Iterator[Unordered]:
    for folder, schema in schemas.items():
        yield Unordered(folder, schema, tuple(shard.runs[folder] for shard in done if folder in shard.runs), most_rows)


def normalize_shard(
    task: ShardToNormalize,
    clean: Path,
    split: Path,
    to: Normalized,
    features: Specs,
    own: RowColumns = OF_CLASSES,
    *,
    is_ordered: bool = False,
) -> NormalizedShard:
    """Prepare the features of one shard, and write its rows of each part to `prepared/<part>/`.

    If the rows have to be put in order, what is written are runs. Raises DataError if the shard of `split` does not
    name the same rows.
    """
    names = ["id", "label", "part", "source", "row", *dict(own.prepared), *clean_names(features)]
    result = NormalizedShard({}, {}, {}, {}, [], Counter(), [])

    def write(folder: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        if is_ordered:
            result.runs[folder] = write_run(folder, task.number, pa.concat_tables([schema.empty_table(), *tables]))
        else:
            result.files[folder] = publish_shard(folder, task.number_in_part[folder.name], schema, tables)

    rejected = []
    for part, chosen in _rows_of_parts(task, clean, split, names, list(task.number_in_part)).items():
        found = left_out(features, chosen, part)
        if found.num_rows:
            rows = chosen.take(found["position"]).drop_columns(["part"])
            rows = rows.append_column("part", pa.array([part] * rows.num_rows, pa.string()))
            for name in ("reason", "column", "detail"):
                rows = rows.append_column(name, found[name])
            rejected.append(rows.select(left_out_schema(own).names))
            is_kept = np.ones(chosen.num_rows, np.bool_)
            is_kept[found["position"].to_numpy()] = False
            chosen = chosen.filter(pa.array(is_kept))
            result.reasons.update(found["reason"].to_pylist())
        gathered: list[dict[str, Any]] = []
        tables = _normalized(chosen, features, gathered, own)
        write(to.prepared / part, prepared_schema(features, own), tables)
        result.labels[part] = Counter() if own.is_number else occurrences(chosen["label"])
        result.partials[part] = gathered
        if own.is_number and part == _TRAIN:
            result.targets.append(counted(chosen["label"]))
        if part in SERVED_PARTS:
            schema = served_schema(features)
            write(to.served / part, schema, [chosen.select(schema.names)])
    if rejected:
        result.left_out.append(publish_shard(to.left_out, task.number, left_out_schema(own), rejected))
    return result


def _rows_of_parts(
    task: ShardToNormalize, clean: Path, split: Path, names: Sequence[str], wanted: Sequence[str]
) -> dict[str, pa.Table]:
    rows = read_shard(clean / shard_name(task.number), names)
    parts = read_shard(split / shard_name(task.number))
    if not rows["id"].equals(parts["id"]):
        raise DataError(
            f"data/split/{shard_name(task.number)}: its rows are not those of data/clean; run stage split again"
        )
    return {part: rows.filter(pc.equal(parts["part"], part)) for part in wanted}


def _learning(features: Specs) -> Specs:
    return tuple(spec for spec in features if learns(spec))


def _normalized(rows: pa.Table, features: Specs, gathered: list[dict[str, Any]], own: RowColumns) -> Iterator[pa.Table]:
    block = max(1, _BLOCK_BYTES // working_bytes(features))
    for piece in slices(rows, block):
        of_row = {name: piece[name] for name in ("id", "label", *dict(own.prepared))}
        table, partials = prepared_table(of_row, features, prepare(features, piece), own)
        gathered.append(partials)
        yield table


def _tasks(split: Path, parts: Manifest) -> list[ShardToNormalize]:
    """Number each part's shards without gaps: a shard of `data/clean` need not have rows of every part."""
    used: Counter[str] = Counter()
    tasks = []
    for number, entry in enumerate(parts.files):
        present = sorted(read_shard(split / entry.path, ["part"])["part"].unique().to_pylist())
        tasks.append(ShardToNormalize(number, {part: used[part] for part in present}))
        used.update(present)
    return tasks


def _target(done: Sequence[NormalizedShard]) -> Distribution | None:
    pieces = [each for shard in done for each in shard.targets]
    if not pieces:
        return None
    counts = added(pieces, pa.float64())
    return spread_of(counts.values.to_numpy(), counts.counts, "target")


def _reasons(done: Sequence[NormalizedShard]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for shard in done:
        found.update(shard.reasons)
    return dict(sorted(found.items()))


def _finish_part(
    folder: Path,
    part: str,
    done: Sequence[NormalizedShard],
    entries: Sequence[FileEntry],
    features: Specs,
    classes: list[str],
    own: RowColumns,
    target: dict[str, Any] | None = None,
) -> int:
    sweep_attempts(folder)
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels.get(part, {}))
    counts = {name: labels[label] for label, name in enumerate(classes)}
    rows = sum(entry.rows for entry in entries)
    if _reasons(done) and not (rows and all(counts.values())):
        what = next((f"class '{name}' has no rows" for name in counts if not counts[name]), "there are no rows")
        raise DataError(
            f"normalize: {what} left in the {part} part (left out: {', '.join(_reasons(done))}); "
            "change the outliers or the unknown categories of data.features"
        )
    counted_rows = {"classes": counts, **({TARGET: target} if target is not None else {})}
    finish_dataset(folder, entries, prepared_schema(features, own), features=features, counts=counted_rows)
    return rows
