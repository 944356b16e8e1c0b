"""Normalize and augment as built, against the same work written as one pandas UDF a step.

    python benchmarks/spark_stages.py [--repeats 3] [--source FOLDER]

Both run in the same Spark session on the same clean rows (Fashion-MNIST), do the same arithmetic by the same functions
and write uncompressed Parquet; the rows are compared at the end. They take turns, and each figure is a median of the
quiet rounds (`quiet.py`).

As built:    Spark hands out shard numbers; a task reads its shard, works on whole Arrow batches and writes its shard.
pandas UDFs: Spark reads Parquet; a UDF each decodes and resizes, takes the mean, takes the deviation; the result is
             written, read again, and a UDF each warps, adds noise, erases, takes the mean, takes the deviation.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.quiet import quiet_rounds
from pipeline.augmentation.changing import Step, steps_of
from pipeline.augmentation.counter_random import copy_keys, row_keys, stream_keys
from pipeline.data.augmenting import ShardToAugment, augment_shard
from pipeline.data.cleaning import examine
from pipeline.data.feature_kinds import clean_schema, specs
from pipeline.data.grey_levels import image_sums
from pipeline.data.normalizing import Normalized, ShardToNormalize, normalize_shard
from pipeline.data.opening import open_source
from pipeline.data.resizing import resize
from pipeline.data.shard_tasks import run_tasks
from pipeline.data.source_rows import raw_shards
from pipeline.data.wanted import Wanted
from pipeline.recipe.execution import SparkSettings
from pipeline.recipe.recipe import AugmentParams
from pipeline.recipe.slots import Choice, Feature
from pipeline.runtime.spark import spark_session
from pipeline.storage import shards

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ASKED_RATIO = 1.7
SHAPE = (28, 28, 1)
SEED = 1
CLASSES = 10
SIDES = {"raw_height": 28, "raw_width": 28, "channels": 1, "height": 28, "width": 28}
FEATURES = specs({"image": Feature(kind="image", settings=SIDES)})
PARAMS = AugmentParams(
    copies=1,
    steps=(
        Choice(name="warp", settings={"flip": 0.5, "shift": 0.08, "rotate_deg": 8.0, "scale": 0.08}),
        Choice(name="noise", settings={"levels": 4.0}),
        Choice(name="erase", settings={"probability": 0.2}),
    ),
)
SOURCES = (Path("/usr/share/datasets/fashion-mnist"), Path(__file__).parent.parent / "samples" / "fashion_mnist")


def prepare(source: Path, folder: Path) -> list[int]:
    """Write clean rows and their parts (all of them training); return the rows of each shard."""
    rows = []
    for kind in ("clean", "split"):
        (folder / kind).mkdir(parents=True)
    split_schema = pa.schema([("id", pa.string()), ("part", pa.string())])
    for number, table in enumerate(raw_shards(open_source(Choice(name="idx"), source, Wanted()).tables, FEATURES)):
        _, clean = examine(table, number, CLASSES, FEATURES)
        shards.write_shard(folder / "clean", number, clean_schema(FEATURES), [clean])
        part = table.select(["id"]).append_column("part", pa.repeat("train", table.num_rows))
        shards.write_shard(folder / "split", number, split_schema, [part])
        rows.append(table.num_rows)
    return rows


def unseen(_done: int, _total: int) -> None:
    """Show no progress."""


def as_built(session: SparkSession, folder: Path, rows: list[int], out: Path) -> None:
    """Normalize and augment with the stages' own tasks."""
    (out / "augmented").mkdir(parents=True)
    run_tasks(
        session,
        partial(
            normalize_shard,
            clean=folder / "clean",
            split=folder / "split",
            to=Normalized(out / "prepared", out / "served", out / "left_out"),
            features=FEATURES,
        ),
        [(ShardToNormalize(number, {"train": number}), count) for number, count in enumerate(rows)],
        unseen,
    )
    run_tasks(
        session,
        partial(
            augment_shard,
            training=out / "prepared" / "train",
            augmented=out / "augmented",
            seed=SEED,
            params=PARAMS,
        ),
        [(ShardToAugment(number, 0), count) for number, count in enumerate(rows)],
        unseen,
    )


def images_of(column: pd.Series) -> npt.NDArray[np.uint8]:
    """Return a pandas column of bytes as `[row, height, width, channel] uint8`."""
    return np.frombuffer(b"".join(column), np.uint8).reshape(-1, *SHAPE)


def bytes_of(pixels: npt.NDArray[np.uint8]) -> pd.Series:
    """Return images as a pandas column of bytes."""
    return pd.Series([image.tobytes() for image in pixels])


def as_pandas_udfs(session: SparkSession, folder: Path, _rows: list[int], out: Path) -> None:
    """Normalize and augment with one scalar pandas UDF a step, and Spark's own reader and writer."""
    from pyspark.sql.functions import col, concat, lit, pandas_udf

    def udf_of(step: Step) -> Any:
        def run(pixels: pd.Series, ids: pd.Series) -> pd.Series:
            keys = stream_keys(copy_keys(row_keys(ids.tolist(), SEED), 1), step.stream)
            return bytes_of(step.change(images_of(pixels), keys, step.settings))

        return pandas_udf(run, "binary")

    def decode(payload: pd.Series) -> pd.Series:
        return bytes_of(resize(images_of(payload), *SHAPE[:2]))

    def mean(pixels: pd.Series) -> pd.Series:
        return pd.Series(image_sums(images_of(pixels)).mean_and_std()[0])

    def deviation(pixels: pd.Series) -> pd.Series:
        return pd.Series(image_sums(images_of(pixels)).mean_and_std()[1])

    decode_udf = pandas_udf(decode, "binary")
    mean_udf, deviation_udf = pandas_udf(mean, "float"), pandas_udf(deviation, "float")

    clean = session.read.parquet(str(folder / "clean")).select("id", "label", "image")
    prepared = clean.withColumn("image", decode_udf("image"))
    prepared = prepared.withColumn("image_mean", mean_udf("image")).withColumn("image_std", deviation_udf("image"))
    prepared.write.option("compression", "none").parquet(str(out / "prepared"))

    augmented = session.read.parquet(str(out / "prepared")).select("id", "label", "image")
    for step in steps_of(PARAMS.steps):
        augmented = augmented.withColumn("image", udf_of(step)("image", "id"))
    augmented = augmented.withColumn("image_mean", mean_udf("image")).withColumn("image_std", deviation_udf("image"))
    augmented = augmented.withColumn("copy", lit(1)).withColumn("source_id", col("id"))
    augmented.withColumn("id", concat("id", lit("-1"))).write.option("compression", "none").parquet(
        str(out / "augmented")
    )


def rows_by_id(folder: Path) -> pa.Table:
    """Return the augmented rows of either way in one order and one type."""
    columns = ["id", "label", "image", "image_mean", "image_std"]
    tables = [pq.read_table(path, columns=columns) for path in sorted(folder.glob("*.parquet"))]
    schema = tables[0].schema.set(2, pa.field("image", pa.binary()))
    return pa.concat_tables([table.cast(schema) for table in tables]).sort_by("id").combine_chunks()


def main() -> int:
    """Measure and print; exit 1 if the two ways do not give the same rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="quiet rounds wanted (3)")
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds (300)")
    parser.add_argument("--source", type=Path, default=next(path for path in SOURCES if path.is_dir()))
    arguments = parser.parse_args()
    ways = {"as built": as_built, "pandas UDFs": as_pandas_udfs}
    with (
        tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as name,
        spark_session(SparkSettings(), "benchmark") as session,
    ):
        folder = Path(name)
        rows = prepare(arguments.source, folder)

        def measure(_number: int) -> dict[str, float]:
            taken_s = {}
            for way, run in ways.items():
                out = folder / way.replace(" ", "_")
                shutil.rmtree(out, ignore_errors=True)
                start_s = time.perf_counter()
                run(session, folder, rows, out)
                taken_s[way] = time.perf_counter() - start_s
            return taken_s

        measure(0)  # warms the workers up
        rounds = quiet_rounds(measure, arguments.repeats, arguments.patience_s)
        built, udfs = (rows_by_id(folder / way.replace(" ", "_") / "augmented") for way in ways)
        is_same = built.cast(udfs.schema).equals(udfs)
    seconds = {way: [taken_s[way] for taken_s in rounds.results] for way in ways}
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    print(rounds.summary)
    for way, median in medians.items():
        readings = ", ".join(f"{value:.2f}" for value in seconds[way])
        print(f"{way:12} {median:6.2f} s median of [{readings}]  {sum(rows) / median:9,.0f} images/s")
    print(f"same rows out of both: {'yes' if is_same else 'NO'}")
    print(f"spark_stages ratio {medians['pandas UDFs'] / medians['as built']:.2f} (asked: at least {ASKED_RATIO})")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
