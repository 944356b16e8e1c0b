"""Batch scoring against the bare model: rows per second on all cores, as a share of one core's times their number.

    python benchmarks/scoring.py [--architecture resnet] [--rows 320000] [--noisy]

The bare model is the SavedModel in a process of its own, asked on one thread about decoded images that lie in memory,
256 at a time: nothing is read, checked or written. Scoring is all that `ratchet score` does once Spark's workers have
loaded the model: it reads the images from idx files, gives each an id, writes shards, examines every row, asks, counts,
and writes answers and manifests. The images are the sample's, repeated; the weights are random: none changes the time.

Asked: at least 0.8. What starting takes is no part of it, as it is the same for any number of rows; it is printed, too.
Java compiles what it runs for some time after its start: fewer rows make that a part of it again. The bare model is
asked before and after each scoring.
The share is told twice: by the clock, which says something only while nothing else wants the processors (quiet rounds,
see `quiet.py`; --noisy counts all), and by processor time: what a row takes of the bare model, and of scoring with all
of its processes, the JVM among them.

Exit codes: 0 at least as asked by the clock, 1 less, 75 could not measure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks import made_data
from benchmarks.quiet import Rounds
from pipeline.data.source_rows import raw_shards
from pipeline.data.sources import idx
from pipeline.data.wanted import Wanted
from pipeline.recipe.execution import SparkSettings
from pipeline.records.scored_shard import ScoringJob
from pipeline.runtime.progress import Progress
from pipeline.runtime.spark import spark_session
from pipeline.scoring import job as jobs
from pipeline.scoring.accounting import account
from pipeline.scoring.model import ScoringModel
from pipeline.scoring.reading import without_labels
from pipeline.storage.row_columns import RowColumns

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "fashion_mnist"
SHAPE = (28, 28, 1)
CLASSES = tuple(f"class {number}" for number in range(10))
SETTINGS: dict[str, dict[str, Any]] = {
    "cnn": {"filters": [32, 64], "dense": 64, "dropout": 0.3},  # of params.yaml
    "resnet": {"width": 16, "blocks": [1, 1, 1]},  # of configs/digits_folders.yaml
}
CORES = 2
BARE_ROWS = 16 * 1024
ASKED = 0.8
OWN = RowColumns()

MAKE = """
import json, sys
from pathlib import Path
from pipeline.export.saved_model import exported
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.recipe.recipe import FEATURE
from pipeline.records.architecture import Architecture
name, settings, classes, sides, folder = json.loads(sys.argv[1])
kind = FEATURE.member("image")
spec = kind.spec("image", kind.Settings(**sides)).changed(fitted={"mean": [72.0], "std": [90.0]})
made = Architecture(name=name, settings=settings, task="classification", features=(spec,), classes=classes)
folder = Path(folder)
stored.save(folder, made, build(made))
print(json.dumps([str(exported(folder, folder / "exports")), spec.to_json(), stored.digest(folder)]))
"""
BARE = """
import json, sys, time
import numpy as np
from pathlib import Path
from pipeline.scoring.asking import answering
from pipeline.scoring.rows import BATCH_ROWS
answer, images = answering(Path(sys.argv[1])), np.load(sys.argv[2])
for start in range(0, 8 * BATCH_ROWS, BATCH_ROWS):
    answer({"image": images[start : start + BATCH_ROWS]})
wall_s, cpu_s = time.perf_counter(), time.process_time()
for start in range(0, len(images), BATCH_ROWS):
    answer({"image": images[start : start + BATCH_ROWS]})
print(json.dumps([time.perf_counter() - wall_s, time.process_time() - cpu_s]))
"""


@dataclass(frozen=True)
class Took:
    """What one row takes, seconds: by the clock and of processors; of the bare model on one core, of scoring on all."""

    bare_s: float
    bare_cpu_s: float
    scoring_s: float
    scoring_cpu_s: float

    @property
    def by_clock(self) -> float:
        """Scoring's rows per second, as a share of the bare model's times the cores."""
        return self.bare_s / (self.scoring_s * CORES)

    @property
    def by_processor(self) -> float:
        """The share of the processor time that goes into the bare model."""
        return self.bare_cpu_s / self.scoring_cpu_s


def sample_images() -> npt.NDArray[np.uint8]:
    """Return the sample's images, `[row, height, width, channel]`."""
    import gzip

    parts = [
        np.frombuffer(gzip.decompress((SAMPLE / f"{part}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
        for part in ("train", "t10k")
    ]
    return np.concatenate(parts).reshape(-1, *SHAPE)


def write_input(folder: Path, images: npt.NDArray[np.uint8], rows: int) -> None:
    """Write so many rows, the images repeated, as an idx folder."""
    folder.mkdir(parents=True)

    def pieces() -> Iterator[npt.NDArray[np.uint8]]:
        left = rows
        while left:
            yield images[:left]
            left -= min(left, len(images))

    made_data.write_idx(folder, "train", pieces(), (rows, *SHAPE[:2]))


def make_model(folder: Path, architecture: str) -> ScoringModel:
    """Return an exported model with random weights."""
    from pipeline.records.feature import FeatureSpec

    sides = {"raw_height": None, "raw_width": None, "channels": SHAPE[2], "height": SHAPE[0], "width": SHAPE[1]}
    told = json.dumps([architecture, SETTINGS[architecture], CLASSES, sides, str(folder)])
    saved_model, spec, digest = json.loads(_python(MAKE, told))
    feature = FeatureSpec.from_json(spec, "made")
    return ScoringModel(
        "made", 1, digest, Path(saved_model), Path(saved_model).name, (feature,), {"image": "uint8"}, CLASSES
    )


def score(session: Any, model: ScoringModel, source: Path, output: Path) -> int:
    """Score a folder of idx files into an output, as `ratchet score` does; return the rows."""
    rows = 0

    def shards() -> Iterator[Any]:
        nonlocal rows
        opened = idx.open_source(idx.Settings(), source, Wanted(CLASSES))
        for table in raw_shards(without_labels(opened.tables, OWN), model.features, OWN):
            rows += table.num_rows
            yield table

    job = ScoringJob(input=str(source), model=model.shown, decides=model.digest)
    with jobs.held(output) as aside:
        jobs.begin(aside, job)
        found = jobs.score_shards(session, aside, shards(), model, OWN, lambda _: None)
        jobs.publish(aside, output, found, model, OWN, account(found, rows, model.classes), job)
    return rows


def ask_bare(model: ScoringModel, images: Path) -> tuple[float, float]:
    """Ask the bare model about all images; return what that took by the clock and of a processor, seconds."""
    wall_s, cpu_s = json.loads(_python(BARE, str(model.saved_model), str(images)))
    return wall_s, cpu_s


def processor_s() -> float:
    """Return the processor time of this process and all that it has started and that is still there."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    total = 0.0
    for each in processes:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def main() -> int:
    arguments = _arguments()
    images = sample_images()
    with tempfile.TemporaryDirectory(prefix="ratchet-scoring-") as temporary:
        folder = Path(temporary)
        model = make_model(folder / "model", arguments.architecture)
        np.save(folder / "images.npy", np.resize(images, (BARE_ROWS, *SHAPE)))
        write_input(folder / "few", images, 4 * CORES * 4096)
        write_input(folder / "many", images, arguments.rows)
        begun_s = time.perf_counter()
        with Progress("scoring").entering(
            "Spark", spark_session(SparkSettings(master=f"local[{CORES}]"), "b")
        ) as spark:
            started_s = time.perf_counter() - begun_s
            score(spark, model, folder / "few", folder / "warm")
            warmed_s = time.perf_counter() - begun_s

            def measure(number: int) -> Took:
                before = ask_bare(model, folder / "images.npy")
                begin_s, begin_cpu_s = time.perf_counter(), processor_s()
                rows = score(spark, model, folder / "many", folder / f"scores-{number}")
                scoring_s, scoring_cpu_s = time.perf_counter() - begin_s, processor_s() - begin_cpu_s
                after = ask_bare(model, folder / "images.npy")
                bare_s, bare_cpu_s = ((one + other) / (2 * BARE_ROWS) for one, other in zip(before, after, strict=True))
                return Took(bare_s, bare_cpu_s, scoring_s / rows, scoring_cpu_s / rows)

            took, said = Rounds(arguments.rounds, arguments.patience_s, arguments.noisy).of(measure)
    print(f"rounds     {said}")
    print(f"model      {arguments.architecture} {SETTINGS[arguments.architecture]} on {SHAPE}, {CORES} cores")
    for name, of_one, of_all in (
        ("clock", lambda each: 1 / each.bare_s, lambda each: 1 / each.scoring_s),
        ("processor", lambda each: 1 / each.bare_cpu_s, lambda each: 1 / each.scoring_cpu_s),
    ):
        one, every = statistics.median(map(of_one, took)), statistics.median(map(of_all, took))
        print(f"{name:10} bare model {one:.0f} rows/s on one core, scoring {every:.0f} rows/s, by that measure")
    print(f"start      Spark {started_s:.1f} s, with the first {4 * CORES} shards {warmed_s:.1f} s: not in it")
    by_processor = statistics.median(each.by_processor for each in took)
    ratio = statistics.median(each.by_clock for each in took)
    print(f"processor  {by_processor:.2f} of the processor time is the bare model's")
    print(f"ratio      {ratio:.2f} of the bare model's speed times {CORES} (asked for: at least {ASKED})")
    return 0 if ratio >= ASKED else 1


def _python(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"a process of this benchmark failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip().splitlines()[-1]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--architecture", choices=sorted(SETTINGS), default="cnn")
    parser.add_argument("--rows", type=int, default=320_000, help="rows that are scored in a round")
    parser.add_argument("--rounds", type=int, default=3, help="quiet rounds wanted")
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds")
    parser.add_argument("--noisy", action="store_true", help="count every round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
