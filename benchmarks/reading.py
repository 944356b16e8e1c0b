"""Reading prepared shards: how long a step waits for them, and against TFRecords parsed one record at a time.

    python benchmarks/reading.py [--rounds 7] [--noisy]

60 000 images of 28 × 28 with their labels lie in memory-mapped shards. First, micro-batches of 128 are fed to a step of
the shipped recipe's network, in one thread: gradients and an update. Waiting is what passes between two steps: for the
order of the rows, their copies, their labels. Asked: at most 2 % of the time. Then the same with rows that are changed
anew in each epoch (`augment.when: during`), by the shipped recipe's steps, one batch ahead: nothing is asked of that.

Then both ways read the same images from files, shuffle them and hand them over as batches of TensorFlow tensors; both
take two threads at most. Ours includes opening the shards, checking their digests and the permutation. The peer is the
usual pipeline: `TFRecordDataset → shuffle → map(parse_single_example) → batch → prefetch`. They take turns; the median
of the quiet rounds' ratios is printed (`quiet.py`). Asked: at least 10 ×.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa

from benchmarks.quiet import Rounds
from pipeline.recipe.recipe import load_recipe
from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec
from pipeline.storage import artifacts, shards
from pipeline.storage.shards import Columns
from pipeline.training.ahead import ahead
from pipeline.training.batches import Labels, TrainingRows, read_part, training_batches
from pipeline.training.changed_rows import read_changed_rows
from pipeline.training.order import EpochOrder

ROOT = Path(__file__).parents[1]
ASKED, ASKED_WAIT, ROWS, BATCH, SHAPE, CLASSES, STEPS = 10.0, 0.02, 60_000, 128, (28, 28, 1), 10, 100
FITTED = {"mean": [72.0], "std": [90.0]}
IMAGE = FeatureSpec(name="image", kind="image", dtype="uint8", shape=SHAPE, fitted=FITTED)


def write_both(folder: Path) -> tuple[Path, Path]:
    """Write the same random images as prepared shards and as one TFRecord file; return both paths."""
    import tensorflow as tf

    numbers = np.random.default_rng(1)
    pixels = numbers.integers(0, 256, (ROWS, *SHAPE)).astype(np.uint8)
    labels = numbers.integers(0, 10, ROWS).astype(np.int32)
    schema = shards.prepared_schema([IMAGE])
    with artifacts.published_folder(folder / "shards") as aside:
        columns = {
            "id": [f"{row:08d}" for row in range(ROWS)],
            "label": labels,
            "image": shards.column_of(pixels, IMAGE),
        }
        entry = shards.write_shard(aside, 0, schema, [pa.table(columns)])
        shards.finish_dataset(aside, [entry], schema, features=[IMAGE])

    with tf.io.TFRecordWriter(str(folder / "images.tfrecord")) as writer:
        for image, label in zip(pixels, labels, strict=True):
            features = {
                "pixels": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return folder / "shards", folder / "images.tfrecord"


def read_shards(folder: Path, epoch: int) -> int:
    """Read an epoch of the shards; return the images handed over."""
    import tensorflow as tf

    part = read_part([folder], classes=10)
    images = 0
    for [(columns, [labels])] in training_batches(part, EpochOrder(len(part), 1, epoch), epoch, BATCH, range(1), 1):
        batch, _ = tf.constant(columns["image"]), tf.constant(labels)
        images += batch.shape[0]
    return images


def read_records(path: Path, epoch: int) -> int:
    """Read an epoch of the TFRecords, one record at a time; return the images handed over."""
    import tensorflow as tf

    features = {"pixels": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(record: Any) -> Any:
        example = tf.io.parse_single_example(record, features)
        return tf.reshape(tf.io.decode_raw(example["pixels"], tf.uint8), SHAPE), tf.cast(example["label"], tf.int32)

    records = tf.data.TFRecordDataset(str(path)).shuffle(10_000, seed=epoch)
    batches = records.map(parse, num_parallel_calls=2).batch(BATCH, drop_remainder=True).prefetch(2)
    images = 0
    for batch, _ in batches:
        images += batch.shape[0]
    return images


def wait_share(
    part: TrainingRows, epoch: int, step: Callable[[Columns, Labels], None], in_advance: Callable[..., Any] = iter
) -> float:
    """Return the share of the time in which the first steps of an epoch wait for their rows."""
    waited_s = 0.0
    begun_s = at_s = time.perf_counter()
    order = EpochOrder(len(part), 1, epoch)
    for [(columns, [labels])] in in_advance(islice(training_batches(part, order, epoch, BATCH, range(1), 1), STEPS)):
        waited_s += time.perf_counter() - at_s
        step(columns, labels)
        at_s = time.perf_counter()
    return waited_s / (time.perf_counter() - begun_s)


def shipped_step() -> Callable[[Columns, Labels], None]:
    """Return a step of the shipped recipe's network, without its dropout: the shortest that it can be."""
    import keras
    import tensorflow as tf

    from pipeline.models.build import build

    model = build(
        Architecture(
            name="cnn",
            settings={"filters": [32, 64], "dense": 64, "dropout": 0.3},
            task="classification",
            features=(IMAGE,),
            classes=tuple(map(str, range(CLASSES))),
        )
    )
    optimizer = keras.optimizers.Adam(0.001)
    optimizer.build(model.trainable_variables)

    def step(columns: dict[str, Any], labels: Any) -> None:
        with tf.GradientTape() as tape:
            answers = model(columns, training=False)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, answers))
        variables = [variable.value for variable in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)

    traced: Callable[[Columns, Labels], None] = tf.function(step, autograph=False)
    return traced


def images_per_s(read: Callable[[Path, int], int], path: Path, epoch: int) -> float:
    """Return the speed of one epoch, from the file to the last batch."""
    begun_s = time.perf_counter()
    return read(path, epoch) / (time.perf_counter() - begun_s)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="quiet rounds wanted (7)")
    parser.add_argument("--patience-s", type=float, default=120.0, help="how long to put up with noise, seconds (120)")
    parser.add_argument("--noisy", action="store_true", help="do not wait for quiet; each figure says so")
    arguments = parser.parse_args()
    rounds = Rounds(arguments.rounds, arguments.patience_s, arguments.noisy)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as name:
        ours, records = write_both(Path(name))
        part, step = read_part([ours], CLASSES), shipped_step()
        wait_share(part, 0, step)  # traces the graph
        waits, note = rounds.of(lambda epoch: wait_share(part, epoch, step))
        print(f"micro-batches of {BATCH}, {note}")
        print(f"input waits: {statistics.median(waits):.2%} of a step (asked: at most {ASKED_WAIT:.0%})", flush=True)
        augment = load_recipe(ROOT).augment.model_copy(update={"when": "during", "copies": 1})
        changed = read_changed_rows(ours, CLASSES, augment, seed=1)
        names = ", ".join(choice.name for choice in augment.steps)
        waits, note = rounds.of(lambda epoch: wait_share(changed, epoch + 1, step, ahead))
        print(f"rows changed anew, {note}")
        print(f"input waits: {statistics.median(waits):.2%} of a step, {names} during the one before", flush=True)

        def measure(epoch: int) -> dict[str, float]:
            turn = [(read_shards, ours), (read_records, records)]
            return {read.__name__: images_per_s(read, path, epoch) for read, path in turn[:: 1 if epoch % 2 else -1]}

        measure(0)  # warms caches and traces graphs
        found, note = rounds.of(measure)
    ratio = statistics.median(speeds["read_shards"] / speeds["read_records"] for speeds in found)
    print(f"{ROWS:,} images of 28 × 28, batches of {BATCH}, {note}")
    for key, label in (("read_shards", "prepared shards"), ("read_records", "TFRecord one at a time")):
        print(f"  {label:<24} {statistics.median(speeds[key] for speeds in found):12,.0f} images/s")
    print(f"prepared shards: {ratio:.1f} × TFRecord one at a time (asked: {ASKED:g})")


if __name__ == "__main__":
    main()
