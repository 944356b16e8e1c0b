"""Contract check as the pipeline does it, against Great Expectations as its documentation has it: time, same outcomes.

    python benchmarks/contracts.py [--source FOLDER] [--copies N] [--rounds N] [--patience-s N]

Both check the shipped contract for raw data on the same Spark session and the same table (all columns but the
payload), from reading the shards to the results. The other side is an ephemeral context, a Spark data frame asset and
the default result format. They take turns in each round, the one that begins changing; the first round warms up and is
printed, not counted, and neither is one that was not quiet (`quiet.py`). Asked for: at most half of the time. Session
start and imports are measured by themselves.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa

from benchmarks.quiet import quiet_rounds
from pipeline.contracts import checking, frames, suites
from pipeline.data.feature_kinds import raw_schema, specs
from pipeline.recipe.execution import SparkSettings
from pipeline.recipe.slots import Feature
from pipeline.records.manifest import FileEntry
from pipeline.runtime.spark import spark_session
from pipeline.storage import shards

ROOT = Path(__file__).parents[1]
BOUND = 0.5


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as temporary:
        raw = frames.open_raw(_write_raw(arguments.source, arguments.copies, Path(temporary) / "raw"))
        suite = _suite(arguments.copies, frames.raw_columns(raw))
        begin_s = time.perf_counter()
        library = checking.load_library()
        imported_s = time.perf_counter() - begin_s
        begin_s = time.perf_counter()
        with spark_session(SparkSettings(), "benchmark") as spark:
            started_s = time.perf_counter() - begin_s
            contenders: dict[str, Callable[[], list[bool]]] = {
                "pipeline": lambda: _pipeline(frames.raw_frame(spark, raw), suite, raw.manifest.digest),
                "default": lambda: _default(library, frames.raw_frame(spark, raw), suite),
            }

            def measure(number: int) -> dict[str, float]:
                return _race(dict(list(contenders.items())[:: 1 if number % 2 else -1]), spark)

            measure(0)
            print("           warming up (not counted)", flush=True)
            rounds = quiet_rounds(measure, arguments.rounds, arguments.patience_s, verbose=True)
            java_bytes = spark.sparkContext._jvm.java.lang.Runtime.getRuntime().totalMemory()  # noqa: SLF001
    medians_s = {name: statistics.median(times_s[name] for times_s in rounds.results) for name in contenders}
    ratio = statistics.median(times_s["pipeline"] / times_s["default"] for times_s in rounds.results)
    print(f"table      {raw.manifest.rows} rows, {len(suite.expectations)} expectations")
    print(f"rounds     {rounds.summary}")
    print(f"medians    pipeline {medians_s['pipeline']:.2f} s, default settings {medians_s['default']:.2f} s")
    print(f"not in it  import of Great Expectations {imported_s:.1f} s, start of Spark {started_s:.1f} s")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory     Python {peak_mib:.0f} MiB peak, JVM heap {java_bytes / 2**20:.0f} MiB")
    print(f"ratio      {ratio:.2f} of the time with default settings (asked for: at most {BOUND})")
    return 0 if ratio <= BOUND else 1


def _race(contenders: dict[str, Callable[[], list[bool]]], spark: Any) -> dict[str, float]:
    """Let each have its turn, in this order; return the seconds of each."""
    times_s: dict[str, float] = {}
    outcomes = {}
    for name, check in contenders.items():
        spark.catalog.clearCache()
        begin_s = time.perf_counter()
        outcomes[name] = check()
        times_s[name] = time.perf_counter() - begin_s
    if outcomes["pipeline"] != outcomes["default"]:
        raise SystemExit("the outcomes differ: no time is worth comparing")
    print(f"round      pipeline {times_s['pipeline']:.2f} s, default {times_s['default']:.2f} s", flush=True)
    return times_s


def _pipeline(frame: Any, suite: suites.Suite, digest: str) -> list[bool]:
    checked = checking.check(frame, suite, checking.bind(suite), digest)
    return [result.has_passed for result in checked.result.expectations]


def _default(library: Any, frame: Any, suite: suites.Suite) -> list[bool]:
    context = library.get_context(mode="ephemeral")
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("raw")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    declared = [
        {"type": entry.type, "kwargs": dict(entry.kwargs), "meta": {"number": number}}
        for number, entry in enumerate(suite.expectations)
    ]
    found = batch.validate(library.ExpectationSuite(name=suite.name, expectations=declared)).results
    outcomes = {entry.expectation_config.meta["number"]: bool(entry.success) for entry in found}
    return [outcomes[number] for number in range(len(declared))]  # they come back grouped by column


def _suite(copies: int, columns: Sequence[str]) -> suites.Suite:
    """Return the shipped contract; with copies, images are no longer unique and rows are many."""
    suite = suites.read_suite(ROOT / "data_contracts" / "fashion_mnist" / "raw.yaml", columns)
    changes: dict[str, dict[str, Any]] = {}
    if copies > 1:
        changes = {
            "expect_table_row_count_to_be_between": {"max_value": 80_000 * copies},
            "expect_column_proportion_of_unique_values_to_be_between": {"min_value": 0.9 / copies},
        }
    expectations = tuple(
        suites.Expectation(entry.type, {**entry.kwargs, **changes.get(entry.type, {})}, entry.where)
        for entry in suite.expectations
    )
    return suites.Suite(suite.name, expectations, suite.path)


def _write_raw(source: Path, copies: int, folder: Path) -> Path:
    """Write an idx folder as raw shards, `copies` times over under different ids."""
    folder.mkdir(parents=True)
    sides = {"raw_height": 28, "raw_width": 28, "channels": 1, "height": 28, "width": 28}
    schema = raw_schema(specs({"image": Feature(kind="image", settings=sides)}))
    entries: list[FileEntry] = []
    for stem, part in (("train", "train"), ("t10k", "test")):
        name = f"{stem}-images-idx3-ubyte.gz"
        pixels = np.frombuffer(gzip.decompress((source / name).read_bytes()), np.uint8, offset=16).reshape(-1, 784)
        content = gzip.decompress((source / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
        labels = np.frombuffer(content, np.uint8, offset=8).astype(np.int32)
        rows = len(labels)
        payloads = [image.tobytes() for image in pixels]
        digests = [hashlib.sha256(payload).hexdigest() for payload in payloads]
        for copy in range(copies):
            columns = {
                "id": [hashlib.sha256(f"{part} {copy} {row}".encode()).hexdigest()[:32] for row in range(rows)],
                "label": labels,
                "part": [part] * rows,
                "source": [f"{copy}/{name}"] * rows,
                "row": np.arange(rows),
                **{
                    f"image_{side}": np.full(rows, 1 if side == "channels" else 28)
                    for side in ("height", "width", "channels")
                },
                "image_encoding": ["raw"] * rows,
                "content_digest": digests,
                "image": payloads,
            }
            table = pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema})
            entries.append(shards.write_shard(folder, len(entries), schema, [table]))
    shards.finish_dataset(folder, entries, schema)
    return folder


def _arguments() -> argparse.Namespace:
    full = Path("/usr/share/datasets/fashion-mnist")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--source", type=Path, default=full if full.exists() else ROOT / "samples" / "fashion_mnist")
    parser.add_argument("--copies", type=int, default=1, help="times the data is repeated")
    parser.add_argument("--rounds", type=int, default=5, help="quiet rounds wanted (5)")
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds (300)")
    return parser.parse_args()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
