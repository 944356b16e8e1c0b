"""Contract checks as the pipeline does them, against Great Expectations as its documentation has it: time, outcomes.

    python benchmarks/contracts.py [--source FOLDER] [--data FOLDER] [--copies N] [--rounds N] [--patience-s N]

Both check the two shipped contracts on the same Spark session and the same tables, from reading the shards to the
results: raw data (all columns but the payload), and the prepared parts as the data stages make them of the same source.
The other side is an ephemeral context, a Spark data frame asset and the default result format. They take turns in each
round, the one that begins changing; the first round warms up and is printed, not counted, and neither is one that was
not quiet (`quiet.py`). Asked for: the same outcomes in at most a quarter of the time, both contracts together. Session
start and imports are measured by themselves. With `--copies`, the raw data alone, repeated.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa
import yaml

from benchmarks.quiet import quiet_rounds
from pipeline.contracts import checking, frames, suites
from pipeline.data.feature_kinds import raw_schema, specs
from pipeline.recipe.execution import SparkSettings
from pipeline.recipe.slots import Feature
from pipeline.records.manifest import FileEntry
from pipeline.runtime.spark import spark_session
from pipeline.storage import shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).parents[1]
Side = Callable[[Any, suites.Suite], list[bool]]
BOUND = 0.25
STAGES = ("resolve", "ingest", "check_raw", "clean", "split", "normalize", "augment")
AS_STAGES = """
import importlib, sys
from pathlib import Path
from pipeline.stages.context import StageContext
for name in sys.argv[1:]:
    importlib.import_module(f"pipeline.stages.{name}").run(StageContext.load(Path.cwd(), name))
"""


@dataclass(frozen=True)
class Contract:
    """A shipped contract and the table to hold against it."""

    suite: suites.Suite
    frame: Callable[[SparkSession], DataFrame]

    @property
    def name(self) -> str:
        return self.suite.path.stem


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as temporary:
        contracts = [_raw(arguments.source, arguments.copies, Path(temporary) / "raw")]
        if arguments.copies == 1:
            data = arguments.data or _prepare(arguments.source, Path(temporary) / "project")
            contracts.append(_prepared(data))
        begin_s = time.perf_counter()
        library = checking.load_library()
        imported_s = time.perf_counter() - begin_s
        begin_s = time.perf_counter()
        with spark_session(SparkSettings(), "benchmark") as spark:
            started_s = time.perf_counter() - begin_s
            sides: dict[str, Side] = {"pipeline": _pipeline, "default": functools.partial(_default, library)}
            rows = {each.name: each.frame(spark).count() for each in contracts}

            def measure(number: int) -> dict[tuple[str, str], float]:
                turns = dict(list(sides.items())[:: 1 if number % 2 else -1])
                return {key: time_s for each in contracts for key, time_s in _race(each, turns, spark).items()}

            measure(0)
            print("           warming up (not counted)", flush=True)
            rounds = quiet_rounds(measure, arguments.rounds, arguments.patience_s, verbose=True)
            java_bytes = spark.sparkContext._jvm.java.lang.Runtime.getRuntime().totalMemory()  # noqa: SLF001
    print(f"rounds     {rounds.summary}")
    for each in contracts:
        ours_s, default_s = (statistics.median(r[each.name, side] for r in rounds.results) for side in sides)
        ratio = statistics.median(r[each.name, "pipeline"] / r[each.name, "default"] for r in rounds.results)
        print(
            f"{each.name:10} {rows[each.name]} rows, {len(each.suite.expectations)} expectations: "
            f"pipeline {ours_s:.2f} s, default settings {default_s:.2f} s, ratio {ratio:.2f}, the same outcomes"
        )
    print(f"not in it  import of Great Expectations {imported_s:.1f} s, start of Spark {started_s:.1f} s")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory     Python {peak_mib:.0f} MiB peak, JVM heap {java_bytes / 2**20:.0f} MiB")
    ratio = statistics.median(_total(r, "pipeline") / _total(r, "default") for r in rounds.results)
    what = "all contracts" if len(contracts) > 1 else "this contract"
    print(f"ratio      {ratio:.2f} of the time with default settings, {what} (asked for: at most {BOUND})")
    return 0 if ratio <= BOUND else 1


def _total(times_s: dict[tuple[str, str], float], side: str) -> float:
    return sum(time_s for (_, found), time_s in times_s.items() if found == side)


def _race(contract: Contract, sides: dict[str, Side], spark: Any) -> dict[tuple[str, str], float]:
    """Let each have its turn, in this order; return the seconds of each."""
    times_s: dict[str, float] = {}
    outcomes = {}
    for side, check in sides.items():
        spark.catalog.clearCache()
        begin_s = time.perf_counter()
        outcomes[side] = check(contract.frame(spark), contract.suite)
        times_s[side] = time.perf_counter() - begin_s
    if outcomes["pipeline"] != outcomes["default"]:
        raise SystemExit(f"{contract.name}: the outcomes differ: no time is worth comparing")
    print(
        f"round      {contract.name}: pipeline {times_s['pipeline']:.2f} s, default {times_s['default']:.2f} s",
        flush=True,
    )
    return {(contract.name, side): time_s for side, time_s in times_s.items()}


def _pipeline(frame: Any, suite: suites.Suite) -> list[bool]:
    checked = checking.check(frame, suite, checking.bind(suite), "")
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


def _raw(source: Path, copies: int, folder: Path) -> Contract:
    """Return the shipped contract; with copies, images are no longer unique and rows are many."""
    raw = frames.open_raw(_write_raw(source, copies, folder))
    suite = suites.read_suite(ROOT / "data_contracts" / "fashion_mnist" / "raw.yaml", frames.raw_columns(raw))
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
    return Contract(
        suites.Suite(suite.name, expectations, suite.path), functools.partial(_swapped, frames.raw_frame, raw)
    )


def _prepared(data: Path) -> Contract:
    folders = {part: data / "prepared" / part for part in (frames.TRAIN, frames.VALIDATION, frames.TEST)}
    parts = {
        part: frames.open_part(folder) for part, folder in {**folders, frames.AUGMENTED: data / "augmented"}.items()
    }
    suite = suites.read_suite(
        ROOT / "data_contracts" / "fashion_mnist" / "prepared.yaml", frames.prepared_columns(parts)
    )
    return Contract(suite, functools.partial(_swapped, frames.prepared_frame, parts))


def _swapped(make: Callable[[SparkSession, Any], DataFrame], data: Any, spark: SparkSession) -> DataFrame:
    return make(spark, data)


def _prepare(source: Path, project: Path) -> Path:
    """Run the data stages on a source; return their `data` folder."""
    print(f"making     data of {source} with {', '.join(STAGES)}", flush=True)
    project.mkdir()
    for name in ("dvc.yaml", "execution.yaml", "data_contracts"):
        (project / name).symlink_to(ROOT / name)
    (project / "source").symlink_to(source.resolve())
    recipe = yaml.safe_load((ROOT / "params.yaml").read_text())
    recipe["data"]["path"] = "source"
    (project / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-c", AS_STAGES, *STAGES],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the data stages failed: {done.stderr.strip().splitlines()[-1]}")
    return project / "data"


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
                "problem": [None] * rows,
                "detail": [None] * rows,
                "image_mode": ["L"] * rows,
                "image_encoding": ["raw"] * rows,
                "content_digest": digests,
                "image": payloads,
            }
            table = pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema})
            entries.append(shards.write_shard(folder, len(entries), schema, [table]))
    shards.finish_dataset(folder, entries, schema)
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--source", type=Path, default=ROOT / "samples" / "fashion_mnist")
    parser.add_argument("--data", type=Path, help="a finished run's `data`, instead of running the data stages")
    parser.add_argument(
        "--copies", type=int, default=1, help="times the raw data is repeated, without the prepared data"
    )
    parser.add_argument("--rounds", type=int, default=5, help="quiet rounds wanted (5)")
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds (300)")
    return parser.parse_args()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
