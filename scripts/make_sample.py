"""Makes `samples/fashion_mnist/`: a balanced slice of Fashion-MNIST, small enough to commit.

    python scripts/make_sample.py                    # from Debian's package dataset-fashion-mnist
    python scripts/make_sample.py SOURCE --to FOLDER

1 200 images of each class from the 60 000 training images and 400 of each from the 10 000 test images, chosen with
a fixed seed and kept in the source's order. The same source and the same zlib give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import random
import struct
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path("/usr/share/datasets/fashion-mnist")
TARGET = Path(__file__).resolve().parent.parent / "samples" / "fashion_mnist"
SEED = 20170825  # the day Fashion-MNIST was published
IMAGES_PER_CLASS = {"train": 1200, "t10k": 400}

IMAGES_MAGIC = 2051  # unsigned bytes, three dimensions: [image, row, column]
LABELS_MAGIC = 2049  # unsigned bytes, one dimension: [label]


class BadSource(ValueError):
    """A source file is not what the idx format says, or has too few images of a class."""


def read_images(path: Path) -> tuple[list[bytes], int, int]:
    """Read `[image, row, column] uint8` from an idx3 .gz file; return each image's bytes, the rows and the columns."""
    payload = gzip.decompress(path.read_bytes())
    magic, count, rows, columns = struct.unpack_from(">4I", payload)
    size = rows * columns
    if magic != IMAGES_MAGIC or len(payload) != 16 + count * size:
        raise BadSource(f"{path}: not a whole idx file of images")
    return [payload[start : start + size] for start in range(16, len(payload), size)], rows, columns


def read_labels(path: Path) -> bytes:
    """Read `[label] uint8` from an idx1 .gz file."""
    payload = gzip.decompress(path.read_bytes())
    magic, count = struct.unpack_from(">2I", payload)
    if magic != LABELS_MAGIC or len(payload) != 8 + count:
        raise BadSource(f"{path}: not a whole idx file of labels")
    return payload[8:]


def choose(labels: bytes, per_class: int, seed: int) -> list[int]:
    """Choose `per_class` positions of every label, at random but repeatably, in ascending order."""
    positions: dict[int, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        positions[label].append(position)
    dice = random.Random(seed)
    chosen: list[int] = []
    for label in sorted(positions):
        if len(positions[label]) < per_class:
            raise BadSource(f"label {label} has {len(positions[label])} images, {per_class} are needed")
        chosen += dice.sample(positions[label], per_class)
    return sorted(chosen)


def write_gzip(path: Path, payload: bytes) -> None:
    """Write a .gz file whose bytes depend on the payload alone: no time and no file name in its header."""
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed,
    ):
        packed.write(payload)


def make_sample(source: Path, target: Path) -> None:
    """Write the four files of the slice of `source` into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for part, per_class in IMAGES_PER_CLASS.items():
        images, rows, columns = read_images(source / f"{part}-images-idx3-ubyte.gz")
        labels = read_labels(source / f"{part}-labels-idx1-ubyte.gz")
        if len(images) != len(labels):
            raise BadSource(f"{source}: {len(images)} images but {len(labels)} labels in {part}")
        chosen = choose(labels, per_class, SEED)
        header = struct.pack(">4I", IMAGES_MAGIC, len(chosen), rows, columns)
        write_gzip(target / f"{part}-images-idx3-ubyte.gz", header + b"".join(images[i] for i in chosen))
        header = struct.pack(">2I", LABELS_MAGIC, len(chosen))
        write_gzip(target / f"{part}-labels-idx1-ubyte.gz", header + bytes(labels[i] for i in chosen))


def main() -> int:
    """Make the sample; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the committed slice of Fashion-MNIST.")
    parser.add_argument("source", nargs="?", type=Path, default=SOURCE, help="folder of the four idx .gz files")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder to write (default: samples/fashion_mnist)")
    arguments = parser.parse_args()
    try:
        make_sample(arguments.source, arguments.to)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: apt-get install -y dataset-fashion-mnist", file=sys.stderr)
        return 74
    except (BadSource, EOFError, gzip.BadGzipFile, struct.error) as error:
        print(f"{arguments.source}: no Fashion-MNIST: {error}", file=sys.stderr)
        return 65
    for path in sorted(arguments.to.glob("*.gz")):
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
