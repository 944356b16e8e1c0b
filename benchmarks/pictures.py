"""From pictures of mixed sizes to prepared rows: as built, against others' ways, and what it takes.

    python benchmarks/pictures.py [--only speed digests memory init] [--pictures 20000] [--repeats 3] [--noisy]
                                  [--others ENVIRONMENT/bin/python]

It makes its pictures, half PNG and half JPEG, 32 to 256 pixels a side, grey and colour, in class folders. Where not
said otherwise, all begin with the files' bytes in the Parquet shards of `data/raw`, write uncompressed Parquet with
pictures of 64 × 64 × 3, use the same cores, and are warm. They take turns; each figure is a median.

speed     stages clean, split and normalize by their own functions, which also check, compare, divide, describe and fit,
          against
          pandas UDF: Pillow in one pandas UDF, mean and deviation in another, Spark's own reader and writer
          Daft, Ray Data: `pictures_elsewhere.py`, in an environment of their own, named by --others:
                      uv venv ENVIRONMENT && uv pip install --python ENVIRONMENT/bin/python daft "ray[data]" pillow
digests   of what is prepared with 1, 2 and 7 Spark partitions and cores
memory    the largest resident set of the driver, of its JVM and of a Python worker while the same is done
init      `ratchet init` on the folder, against taking the folder in and the three stages, in a process each, with
          pictures of the size that it drafts

Exit codes: 0 all of it is as asked, 1 something is not, 75 the machine was not quiet (--noisy measures all the same).
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import numpy.typing as npt
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.checkouts import copy_checkout, environment
from benchmarks.memory import watch
from benchmarks.quiet import Rounds
from pipeline.data.feature_kinds import Specs, raw_schema, specs
from pipeline.data.normalizing import Normalized, normalize_dataset
from pipeline.data.opening import open_source
from pipeline.data.shard_cleaning import Folders, clean_dataset
from pipeline.data.source_rows import raw_shards
from pipeline.data.splitting import Division, split_dataset
from pipeline.data.wanted import Wanted
from pipeline.recipe.execution import SparkSettings
from pipeline.recipe.recipe import SplitParams
from pipeline.recipe.slots import Choice, Feature
from pipeline.runtime.spark import spark_session
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[1]
SIDE, CHANNELS = 64, 3
SIDES = (32, 256)  # of the pictures, pixels
CORES = 2
CLASSES = tuple(f"class {number}" for number in range(10))
FEATURES = specs(
    {
        "image": Feature(
            kind="image", settings={"channels": CHANNELS, "height": SIDE, "width": SIDE, "resize": "stretch"}
        )
    }
)
PARAMS = SplitParams(method="stratified", train=0.8, validation=0.1, test=0.1)
SEED = 1
ASKED_UDF, ASKED_OTHERS = 1.7, 0.7
ASKED_MIB = 2048
ASKED_INIT = 1.5
PARTITIONS = (1, 2, 7)
OURS, UDF = "as built", "pandas UDF"
PARTS = ("speed", "digests", "memory", "init")
Pixels = npt.NDArray[np.uint8]


def picture(number: int) -> tuple[str, bytes]:
    """Return the ending and the bytes of a picture: smooth, as photographs are, with a little noise."""
    from PIL import Image

    dice = np.random.default_rng((SEED, number))
    height, width = dice.integers(SIDES[0], SIDES[1] + 1, 2).tolist()
    channels = 1 if number % 5 == 0 else 3
    coarse = dice.integers(0, 256, (height // 16 + 2, width // 16 + 2, channels)).astype(np.uint8)
    smooth = Image.fromarray(coarse if channels == 3 else coarse[..., 0]).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(smooth, np.int16) + dice.integers(-3, 4, (height, width, channels)[: 2 if channels == 1 else 3])
    kind, ending = ("PNG", "png") if number % 2 else ("JPEG", "jpg")
    content = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(content, kind)
    return ending, content.getvalue()


def write_pictures(numbers: range, folder: Path) -> None:
    """Write pictures into their class folders."""
    for number in numbers:
        ending, content = picture(number)
        (folder / CLASSES[number % len(CLASSES)] / f"{number:06}.{ending}").write_bytes(content)


def make_pictures(folder: Path, pictures: int) -> None:
    """Write so many pictures, on all cores."""
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    pieces = [range(start, min(start + 500, pictures)) for start in range(0, pictures, 500)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(write_pictures, folder=folder), pieces))


def take_in(folder: Path, raw: Path, features: Specs = FEATURES) -> int:
    """Write a folder of pictures as raw shards, as ingest does; return how many rows."""
    source = open_source(Choice(name="image_folder"), folder, Wanted(CLASSES))
    with artifacts.published_folder(raw) as aside:
        schema = raw_schema(features)
        entries = [
            shards.write_shard(aside, number, schema, [table])
            for number, table in enumerate(raw_shards(source.tables, features))
        ]
        return int(shards.finish_dataset(aside, entries, schema).rows)


def unseen(_done: int, _total: int) -> None:
    """Show no progress."""


def as_built(session: SparkSession, raw: Path, out: Path, features: Specs = FEATURES) -> None:
    """Clean, split and normalize by the stages' own functions."""
    folders = Folders(raw, out / "clean", out / "quarantine", out / "unlabelled")
    for folder in (folders.clean, folders.quarantine, folders.unlabelled, out / "split"):
        folder.mkdir(parents=True)
    clean_dataset(session, folders, classes=CLASSES, features=features, is_test_given=False, on_progress=unseen)
    split_dataset(
        folders.clean,
        folders.quarantine,
        out / "split",
        classes=CLASSES,
        params=PARAMS,
        division=Division.of(PARAMS, SEED, CLASSES, None),
        on_progress=unseen,
    )
    places = Normalized(out / "prepared", out / "served", out / "left_out")
    places.left_out.mkdir()
    normalize_dataset(session, folders.clean, out / "split", places, features=features, on_progress=unseen)


def as_pandas_udf(session: SparkSession, raw: Path, out: Path) -> None:
    """Decode and resize with Pillow in a pandas UDF, describe in another."""
    from PIL import Image
    from pyspark.sql.functions import col, pandas_udf

    def decoded(payload: bytes) -> bytes:
        opened = Image.open(io.BytesIO(payload)).convert("RGB")
        return opened.resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()

    def decode(payloads: pd.Series) -> pd.Series:
        return payloads.map(decoded)

    def describe(images: pd.Series) -> pd.DataFrame:
        levels = [np.frombuffer(image, np.uint8) for image in images]
        return pd.DataFrame({"mean": [x.mean() for x in levels], "std": [x.std() for x in levels]})

    decode_udf = pandas_udf(decode, "binary")
    describe_udf = pandas_udf(describe, "mean float, std float")
    rows = session.read.parquet(str(raw / "*.parquet")).select("id", "label", decode_udf("image").alias("image"))
    rows = rows.withColumn("facts", describe_udf("image"))
    rows.select("id", "label", "image", col("facts.mean"), col("facts.std")).write.option(
        "compression", "none"
    ).parquet(str(out))


@contextmanager
def elsewhere(python: Path, name: str) -> Iterator[Callable[[Path, Path], float]]:
    """Start another way in its own environment; give what runs it from one folder to another, in seconds."""
    command = [str(python), str(Path(__file__).with_name("pictures_elsewhere.py")), name, str(CORES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        asked, answers = process.stdin, process.stdout

        def answer() -> str:
            if line := answers.readline():
                return line
            raise SystemExit(f"{name}: ended with {process.wait()}")

        def run(raw: Path, out: Path) -> float:
            print(raw, out, sep="\t", file=asked, flush=True)
            return float(answer())

        answer()  # it is ready
        try:
            yield run
        finally:
            asked.close()


def pixels_of(folder: Path, ids: Sequence[str]) -> npt.NDArray[np.int16]:
    """Return the pictures of rows, `[row, height, width, channel]`, from Parquet of whatever type."""
    tables = [pq.read_table(path, columns=["id", "image"]) for path in sorted(folder.rglob("*.parquet"))]
    found: dict[str, Any] = {}
    for table in tables:
        if hasattr(table["image"].type, "storage_type"):
            table = table.set_column(1, "image", table["image"].cast(table["image"].type.storage_type))
        chosen = table.filter(pa.compute.is_in(table["id"], pa.array(ids)))
        found |= dict(zip(chosen["id"].to_pylist(), chosen["image"].to_pylist(), strict=True))
    rows = [np.frombuffer(bytes(found[row_id]), np.uint8) for row_id in ids]
    return np.stack(rows).reshape(-1, SIDE, SIDE, CHANNELS).astype(np.int16)


def compare(folder: Path, names: Sequence[str]) -> None:
    """Print how far the others' pictures are from ours: they should be the same to a person."""
    ids = pq.read_table(next((folder / OURS / "prepared").rglob("*.parquet")), columns=["id"])["id"].to_pylist()[:200]
    ours = pixels_of(folder / OURS / "prepared", ids)
    for name in names:
        apart = np.abs(pixels_of(folder / name, ids) - ours)
        print(f"{name:12} {apart.mean():.2f} of 255 grey levels apart from ours on average, {apart.max()} at most")


def speed(folder: Path, options: argparse.Namespace) -> bool:
    """Measure all ways in turn; return whether ours is as fast as asked."""
    raw, rows = folder / "raw", read_manifest(folder / "raw").rows
    with ExitStack() as stack:
        session = stack.enter_context(spark_session(SparkSettings(), "benchmark"))
        ways: dict[str, Callable[[Path, Path], float | None]] = {
            OURS: partial(as_built, session),
            UDF: partial(as_pandas_udf, session),
        }
        if options.others:
            ways |= {name: stack.enter_context(elsewhere(options.others, name)) for name in ("daft", "ray")}

        def measure(number: int) -> dict[str, float]:
            taken_s = {}
            for name in list(ways)[:: 1 if number % 2 else -1]:
                out = folder / name
                shutil.rmtree(out, ignore_errors=True)
                begun_s = time.perf_counter()
                told_s = ways[name](raw, out)
                taken_s[name] = told_s or time.perf_counter() - begun_s
            return taken_s

        measure(0)  # warms up
        rounds, noise = Rounds(options.repeats, options.patience_s, options.noisy).of(measure)
    compare(folder, [name for name in ways if name != OURS])
    medians = {name: statistics.median(taken_s[name] for taken_s in rounds) for name in ways}
    print(noise)
    for name, median in medians.items():
        readings = ", ".join(f"{taken_s[name]:.1f}" for taken_s in rounds)
        print(f"{name:12} {median:6.1f} s median of [{readings}]  {rows / median:8,.0f} pictures/s")
    others = {name: seconds for name, seconds in medians.items() if name not in (OURS, UDF)}
    ratio = medians[UDF] / medians[OURS]
    print(f"pictures ratio {ratio:.2f} of a pandas UDF (asked: at least {ASKED_UDF})")
    if not others:
        print("pictures: Daft and Ray Data were NOT measured: --others names a Python that has them (see --help)")
        return False
    faster = min(others, key=lambda name: others[name])
    beside = others[faster] / medians[OURS]
    print(f"pictures ratio {beside:.2f} of the faster of Daft and Ray Data, {faster} (asked: at least {ASKED_OTHERS})")
    return ratio >= ASKED_UDF and beside >= ASKED_OTHERS


def digests(folder: Path, _options: argparse.Namespace) -> bool:
    """Prepare with several numbers of partitions; return whether the digests are the same."""
    found = {}
    for number in PARTITIONS:
        cut = dict.fromkeys(("spark.default.parallelism", "spark.sql.shuffle.partitions"), str(number))
        out = folder / f"cut by {number}"
        with spark_session(SparkSettings(master=f"local[{number}]", settings=cut), "benchmark") as session:
            as_built(session, folder / "raw", out)
        manifests = sorted(
            (out / "prepared").glob("*/manifest.json")
        )  # with the digests of all files, and what was fitted
        found[number] = [artifacts.digest_file(path) for path in manifests]
        print(f"partitions {number}: {' '.join(digest.removeprefix('sha256:')[:16] for digest in found[number])}")
        shutil.rmtree(out)
    return all(digest == found[PARTITIONS[0]] for digest in found.values())


def role(process: psutil.Process) -> str:
    """Return what a process of the stages is: the driver, its JVM, a Python worker of Spark's."""
    if process.name() == "java":
        return "the JVM"
    command = process.cmdline()
    if "pipeline.runtime.spark_workers" in command:
        return "a Python worker"
    return "the driver" if "--alone" in command else ""


def memory(folder: Path, _options: argparse.Namespace) -> bool:
    """Watch the three stages in a process of their own; return whether each process is below what is asked."""
    peaks = watch(alone("stages", folder), ROOT, role)
    for name, peak in peaks.items():
        print(f"{name:16} {peak.resident_mib:6.0f} MiB resident at most (asked: below {ASKED_MIB})")
    return len(peaks) == 3 and all(peak.resident_mib < ASKED_MIB for peak in peaks.values())


def init(folder: Path, options: argparse.Namespace) -> bool:
    """Measure `ratchet init` against the decode alone; return whether it takes no more than asked."""
    if find_spec("pipeline.cli.init") is None:
        print("init: NOT THERE YET: this checkout has no `ratchet init`")
        return False
    project = copy_checkout(ROOT, folder / "project")
    number = 0

    def measure(_round: int) -> dict[str, float]:
        nonlocal number
        taken_s = {}
        number += 1
        draft = [sys.executable, "-m", "pipeline", "init", str(folder / "pictures"), "--name", f"drafted_{number}"]
        config = project / "configs" / f"drafted_{number}.yaml"
        for name, command in (("init", draft), ("decode", alone("all", folder, config))):
            begun_s = time.perf_counter()
            subprocess.run(
                command, cwd=project, env=environment(project, Path(sys.executable)), check=True, capture_output=True
            )
            taken_s[name] = time.perf_counter() - begun_s
        return taken_s

    rounds, noise = Rounds(options.repeats, options.patience_s, options.noisy).of(measure)
    medians = {name: statistics.median(taken_s[name] for taken_s in rounds) for name in ("init", "decode")}
    print(noise)
    print(
        f"init {medians['init']:.1f} s, decode alone {medians['decode']:.1f} s, both from the folder, starts included"
    )
    ratio = medians["init"] / medians["decode"]
    print(f"init ratio {ratio:.2f} of the decode alone (asked: at most {ASKED_INIT})")
    return ratio <= ASKED_INIT


def alone(what: str, folder: Path, *config: Path) -> list[str]:
    """Return the command that does the stages, or takes the pictures in first (`all`), in a process of its own.

    Pictures are of the size that a config says, if one is given.
    """
    return [sys.executable, __file__, "--alone", what, str(folder), *map(str, config)]


def do_alone(what: str, folder: Path, config: Path | None = None) -> None:
    """Do what `alone` says."""
    features = FEATURES
    if config:
        drafted = yaml.safe_load(config.read_text())["recipe"]["data"]["features"]
        features = specs({name: Feature.model_validate(each) for name, each in drafted.items()})
    with tempfile.TemporaryDirectory(prefix="alone-", dir=folder) as name:
        own, raw = Path(name), folder / "raw"
        if what == "all":
            raw = own / "raw"
            take_in(folder / "pictures", raw, features)
        with spark_session(SparkSettings(), "benchmark") as session:
            as_built(session, raw, own / "out", features)


def main() -> int:
    """Make the pictures, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--pictures", type=int, default=20_000, help="how many (20 000)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds wanted (3)")
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds (300)")
    parser.add_argument("--noisy", action="store_true", help="count all rounds, and say how noisy they were")
    parser.add_argument("--others", type=Path, metavar="PYTHON", help="a Python that has Daft and Ray Data")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        what, *paths = options.alone
        do_alone(what, *map(Path, paths))
        return 0
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as name:
        folder = Path(name)
        make_pictures(folder / "pictures", options.pictures)
        rows = take_in(folder / "pictures", folder / "raw")
        size_mib = sum(path.stat().st_size for path in (folder / "pictures").rglob("*.*")) / 2**20
        print(f"{rows:,} pictures of {SIDES[0]} to {SIDES[1]} pixels a side, {size_mib:.0f} MiB", flush=True)
        parts = {"speed": speed, "digests": digests, "memory": memory, "init": init}
        asked = {part: parts[part](folder, options) for part in options.only}
    for part, is_met in asked.items():
        print(f"{part:8} {'as asked' if is_met else 'NOT as asked'}")
    return 0 if all(asked.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
