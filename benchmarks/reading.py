"""Prepared shards into shuffled TensorFlow batches, against a record-at-a-time TFRecord pipeline on the same images.

    python benchmarks/reading.py

60 000 images of 28 × 28 are written both ways, then read in turn, each time from the files to the last batch of 128 as
TensorFlow tensors, digests checked. The ratio is the median over the rounds. Asked: at least 10.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from pipeline import shards
from pipeline.training.batches import epoch_order, read_part, training_batches

ASKED = 10.0
ROWS, SHAPE, BATCH, CLASSES = 60_000, (28, 28, 1), 128, 10


def write_both(folder: Path) -> tuple[Path, Path]:
    """Write the same random images as shards and as TFRecords; return folder and file."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (ROWS, *SHAPE), np.uint8)
    labels = random.integers(0, CLASSES, ROWS, np.int32)
    prepared, records = folder / "prepared", folder / "images.tfrecord"
    prepared.mkdir()
    schema = shards.image_schema(SHAPE)
    table = pa.table(
        {
            "id": [f"{row:032x}" for row in range(ROWS)],
            "label": labels,
            "pixels": shards.pixel_column(pixels),
            "pixel_mean": pixels.mean((1, 2, 3), dtype=np.float32),
            "pixel_std": pixels.std((1, 2, 3), dtype=np.float32),
        }
    )
    step = 8192
    entries = [
        shards.write_shard(prepared, number, schema, [table.slice(start, step)])
        for number, start in enumerate(range(0, ROWS, step))
    ]
    shards.finish_dataset(prepared, entries, schema, shape=SHAPE)
    with tf.io.TFRecordWriter(str(records)) as writer:
        for image, label in zip(pixels, labels, strict=True):
            features = {
                "pixels": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return prepared, records


def read_shards(folder: Path, epoch: int) -> int:
    """Read the shards as training does, into tensors; return the images read."""
    part = read_part([folder], CLASSES)
    images = 0
    for pixels, labels in training_batches(part, epoch_order(len(part), 1, epoch), BATCH, 0, 1):
        batch = tf.convert_to_tensor(pixels), tf.convert_to_tensor(labels)
        images += int(batch[0].shape[0])
    return images


def read_records(path: Path, epoch: int) -> int:
    """Read the records one at a time, the usual way; return the images read."""

    def parse(record: npt.NDArray[np.bytes_]) -> tuple[tf.Tensor, tf.Tensor]:
        features = {"pixels": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
        example = tf.io.parse_single_example(record, features)
        return tf.reshape(tf.io.decode_raw(example["pixels"], tf.uint8), SHAPE), example["label"]

    dataset = tf.data.TFRecordDataset(str(path)).shuffle(10_000, seed=epoch)
    dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH, drop_remainder=True)
    return sum(int(pixels.shape[0]) for pixels, _ in dataset.prefetch(tf.data.AUTOTUNE))


def rate(read: Callable[[], int]) -> float:
    """Return the images a second of one reading."""
    start_s = time.perf_counter()
    images = read()
    return images / (time.perf_counter() - start_s)


def main() -> None:
    """Read both in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        prepared, records = write_both(Path(name))
        read_shards(prepared, 0), read_records(records, 0)
        pairs = [
            (rate(lambda: read_shards(prepared, epoch)), rate(lambda: read_records(records, epoch)))  # noqa: B023
            for epoch in range(1, arguments.rounds + 1)
        ]
    ratio = statistics.median(own / other for own, other in pairs)
    print(f"prepared shards           {statistics.median(own for own, _ in pairs):9,.0f} images/s")
    print(f"TFRecord, one at a time   {statistics.median(other for _, other in pairs):9,.0f} images/s")
    print(f"ratio {ratio:.1f}  (median of {arguments.rounds} rounds; asked: at least {ASKED:g})")


if __name__ == "__main__":
    main()
