"""What the stages will make of the rows, found by their own functions in a folder of its own.

So what is found is what a run will find: rows that are rejected, parts, the brightness of prepared pictures and of
their changed copies. Nothing is estimated from a part of the data.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from pipeline.contracts import frames
from pipeline.data.augmenting import augment_dataset
from pipeline.data.feature_kinds import OF_CLASSES, raw_schema, specs
from pipeline.data.freezing import freeze
from pipeline.data.frozen_split import FrozenSplit
from pipeline.data.normalizing import Normalized, normalize_dataset
from pipeline.data.shard_cleaning import Folders, clean_dataset
from pipeline.data.source_rows import raw_shards
from pipeline.data.splitting import Division, split_dataset
from pipeline.drafting.choosing import Chosen
from pipeline.errors import Bug, DataError
from pipeline.recipe.recipe import AugmentParams, EqualRows, Roles, SplitParams
from pipeline.recipe.slots import Feature
from pipeline.records.manifest import FileEntry
from pipeline.storage.manifests import read_manifest
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import finish_dataset, write_shard

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OnProgress = Callable[[int, int], None]
_NO_ROLES, _BOTH_REJECTED = Roles(), EqualRows()


class Range(NamedTuple):
    """Smallest and largest value of a column, its mean, and how far values lie from it (standard deviation)."""

    low: float
    high: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class Cleaned:
    """What clean keeps and rejects: rows by class, and by reason; and how many it keeps, if there are no classes."""

    kept: Mapping[str, int]
    reasons: Mapping[str, int]
    of_numbers: int = 0

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(self.kept.values()) or self.of_numbers


@dataclass(frozen=True)
class Table:
    """A table that a contract is about: its rows and columns, and of columns of numbers their range.

    `exceptions` are, of raw rows, those from a place that is there before; of prepared ones, those whose pixels are in
    several parts. `duplicates` are raw rows with the content of a row before; all that have none are alike.
    """

    rows: int
    columns: tuple[str, ...]
    ranges: Mapping[str, Range]
    exceptions: int = 0
    duplicates: int = 0


def write_raw(
    tables: Iterable[pa.Table],
    features: Mapping[str, Feature],
    raw: Path,
    on_rows: Callable[[int], None],
    own: RowColumns = OF_CLASSES,
) -> None:
    """Write a source's rows as ingest does: to shards with ids, and their manifest. Raises DataError without rows."""
    kinds = specs(features)
    schema = raw_schema(kinds, own)
    raw.mkdir(parents=True)
    entries: list[FileEntry] = []
    rows = 0
    for table in raw_shards(tables, kinds, own):
        entries.append(write_shard(raw, len(entries), schema, [table]))
        rows += table.num_rows
        on_rows(rows)
    if not rows:
        raise DataError("data.source: delivers no rows; name the folder that holds the data itself")
    finish_dataset(raw, entries, schema)


class Measuring:
    """Takes written raw rows through the stages, in the folder `work`.

    `frozen` is the frozen split of the last division, if it has one.
    """

    def __init__(
        self,
        session: SparkSession,
        work: Path,
        features: Mapping[str, Feature],
        classes: tuple[str, ...],
        roles: Roles = _NO_ROLES,
        equal_rows: EqualRows = _BOTH_REJECTED,
    ) -> None:
        self._session = session
        self._work = work
        self._features = specs(features)
        self._classes = classes
        self._own = RowColumns.of(classes, roles)
        self._equal_rows = equal_rows
        self.frozen: FrozenSplit | None = None

    def clean(self, *, is_test_given: bool, on_progress: OnProgress) -> Cleaned:
        """Clean the raw rows. A class may have no rows left; raises DataError if there are none at all."""
        counts = clean_dataset(
            self._session,
            Folders(self._work / "raw", *self._made("kept", "rejected", "held_back")),
            classes=self._classes,
            features=self._features,
            is_test_given=is_test_given,
            on_progress=on_progress,
            own=self._own,
            equal_rows=self._equal_rows,
            may_empty_classes=True,
        )
        return Cleaned(kept=counts["classes"], reasons=counts["reasons"], of_numbers=counts["kept"])

    def split(self, params: SplitParams, seed: int, on_progress: OnProgress) -> dict[str, dict[str, int]]:
        """Divide the clean rows; return rows by part and class. Raises DataError if a part lacks a class.

        Where the target is a number, all rows of a part are told as those of the class "".
        If the recipe names a frozen split, the rows freeze it.
        """
        [split] = self._made("divided")
        kept = self._work / "kept"
        self.frozen = None
        if params.frozen:
            self.frozen = freeze(kept, classes=self._classes, params=params, seed=seed, before=None).split
        by_part = split_dataset(
            kept,
            self._work / "rejected",
            split,
            classes=self._classes,
            params=params,
            division=Division.of(params, seed, self._classes, self.frozen),
            on_progress=on_progress,
        )
        if not self._classes:
            return {part: {"": rows} for part, rows in by_part.items()}
        by_class: dict[str, dict[str, int]] = read_manifest(split).counts["classes"]
        return by_class

    def divided(
        self, ways: Iterable[Chosen], cleaned: Cleaned, seed: int, on_progress: OnProgress, *, is_cleaned_as_given: bool
    ) -> tuple[Chosen, Cleaned, dict[str, dict[str, int]]]:
        """Divide the rows in the first way that gives each part what it needs; return it, what is kept, and the rows.

        Rows are cleaned again where a way takes the source's test part as given and they were not, or the reverse.
        Raises DataError, saying what is wrong with the last way, if none does.
        """
        failed: DataError | None = None
        for way in ways:
            params = SplitParams.model_validate(way.values)
            is_given = params.method == "source"
            if is_given != is_cleaned_as_given:
                cleaned, is_cleaned_as_given = self.clean(is_test_given=is_given, on_progress=on_progress), is_given
            try:
                return way, cleaned, self.split(params, seed, on_progress)
            except DataError as error:
                failed = error
        if failed is None:
            raise Bug("init: there was no way to divide the rows; please report it")
        # Without what a run would have to do about it.
        raise DataError(str(failed).partition(";")[0].removeprefix("split: ")) from failed

    def prepare(self, on_progress: OnProgress) -> None:
        """Prepare the rows of all parts."""
        normalize_dataset(
            self._session,
            self._work / "kept",
            self._work / "divided",
            Normalized(*self._made("prepared", "served", "left_out")),
            features=self._features,
            on_progress=on_progress,
            own=self._own,
        )

    def augment(self, params: AugmentParams, seed: int, on_progress: OnProgress) -> None:
        """Make the changed copies of the training rows."""
        [augmented] = self._made("augmented")
        training = self._work / "prepared" / frames.TRAIN
        augment_dataset(self._session, training, augmented, seed=seed, params=params, on_progress=on_progress)

    def raw_table(self) -> Table:
        """Return the table that the raw contract is about."""
        raw = frames.open_raw(self._work / "raw")
        frame, rows = frames.raw_frame(self._session, raw), raw.manifest.rows
        again = [rows - frame.select(*key).distinct().count() for key in (("source", "row"), ("content_digest",))]
        return Table(rows, frames.raw_columns(raw), {}, *again)

    def prepared_table(self) -> Table:
        """Return the table that the prepared contract is about, with the range of each fact about a feature."""
        folders = {part: self._work / "prepared" / part for part in (frames.TRAIN, frames.VALIDATION, frames.TEST)}
        parts = {part: frames.open_part(folder) for part, folder in folders.items()}
        parts[frames.AUGMENTED] = frames.open_part(self._work / "augmented")
        facts = [name for spec in self._features for name in spec.facts]
        frame = frames.prepared_frame(self._session, parts)
        rows, ranges, shared = _ranges(frame, facts)
        return Table(rows, frames.prepared_columns(parts), ranges, exceptions=shared)

    def _made(self, *names: str) -> list[Path]:
        """Return empty folders of these names: another way to divide the rows begins anew."""
        for name in names:
            shutil.rmtree(self._work / name, ignore_errors=True)
            (self._work / name).mkdir()
        return [self._work / name for name in names]


def _ranges(frame: DataFrame, columns: Sequence[str]) -> tuple[int, dict[str, Range], int]:
    """Return how many rows there are, the columns' ranges, and how many rows are in several parts."""
    from pyspark.sql import functions as sql

    asked = [sql.count(sql.lit(1)).alias("rows")]
    asked.append(sql.sum((sql.col("parts_with_row") > 1).cast("long")).alias("shared"))
    for name in columns:
        asked += [
            figure(name).alias(f"{name}_{figure.__name__}") for figure in (sql.min, sql.max, sql.avg, sql.stddev_pop)
        ]
    found: Any = frame.agg(*asked).first()
    ranges = {
        name: Range(*(float(found[f"{name}_{figure}"]) for figure in ("min", "max", "avg", "stddev_pop")))
        for name in columns
    }
    return int(found["rows"]), ranges, int(found["shared"] or 0)
