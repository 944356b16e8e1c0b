"""Near-duplicates across the parts: what the search takes, how it grows, and against comparing every pair.

    python benchmarks/near_duplicates.py [--rows 70000] [--rounds 3] [--noisy]

The rows are pictures of 28 × 28: two of one class of the sample of Fashion-MNIST, laid over each other by a share, so
that their hashes crowd as those of real ones do. Six in seven are the training part, the others the test part. Measured
is what stage `check_apart` does, at a quarter, half and all of the rows:

look        thumbnails and hashes of both parts
search      all pairs of hashes that differ in at most `near_duplicates.bits`, each test picture asked about in all of
            its shifts: by the index, and by comparing every pair in blocks of numpy. Both must find as many
compare     the whole: look, search, and holding the pairs' thumbnails against each other

Then a picture's hash, ours against ImageHash's, which takes one at a time. Times are of the processor, in one thread,
in turns; each figure is a median. Exit codes: 0 measured, 1 the two searches do not find the same, 75 the machine was
not quiet.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.quiet import Rounds
from pipeline.data.near_duplicates import Looks, look, nearest_rows
from pipeline.data.near_hashes import Hashes, HashIndex
from pipeline.data.opening import open_source
from pipeline.data.perceptual_hash import SHIFTS, Pixels, perceptual_hashes, thumbnails
from pipeline.data.wanted import Wanted
from pipeline.recipe.recipe import load_recipe

ROOT = Path(__file__).parents[1]
SIDE, SEED = 28, 1
TEST_SHARE = 7  # one row in so many is a test row
SIZES = (4, 2, 1)  # all rows over these
BLOCK = 128  # hashes that are held against all others at a time
HASHED = 2000  # pictures that ImageHash hashes, a round


def pictures(rows: int) -> Pixels:
    """Return pictures `[row, 28, 28, 1] uint8`, each made of two of one class of the sample."""
    recipe = load_recipe(ROOT)
    source = open_source(recipe.data.source, ROOT / recipe.data.path, Wanted(recipe.data.classes))
    labels, pixels = [], []
    for table in source.tables:
        labels += table["label"].to_pylist()
        pixels.append(np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8))
    known = np.concatenate(pixels).reshape(-1, SIDE, SIDE, 1)
    dice = np.random.default_rng(SEED)
    by_class = [np.flatnonzero(np.asarray(labels) == label) for label in sorted(set(labels))]
    made = np.empty((rows, SIDE, SIDE, 1), np.uint8)
    for row in range(rows):
        one, other = known[dice.choice(by_class[row % len(by_class)], 2)]
        share = dice.uniform(0.5, 1.0)
        made[row] = share * one + (1 - share) * other
    return made


def shifted_hashes(later: Looks) -> list[Hashes]:
    """Return the hashes of the test pictures in each of their shifts."""
    every = slice(0, len(later.hashes))
    return [later.seen(every, shift)[1] for shift in SHIFTS]


def by_index(earlier: Hashes, asked: list[Hashes], bits: int) -> int:
    """Return how many pairs the index finds; it is built here."""
    index = HashIndex(earlier, bits)
    return sum(len(pairs.rows) for hashes in asked for pairs in index.near(hashes))


def by_every_pair(earlier: Hashes, asked: list[Hashes], bits: int) -> int:
    """Return how many pairs there are, by comparing all of them."""
    found = 0
    for hashes in asked:
        for start in range(0, len(hashes), BLOCK):
            differing = np.bitwise_count(hashes[start : start + BLOCK, None] ^ earlier)
            found += int(np.count_nonzero(differing <= bits))
    return found


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time that something takes, seconds, and what it gives."""
    begun_s = time.process_time()
    given = work()
    return time.process_time() - begun_s, given


def measure(made: Pixels, bits: int, least: float, scratch: Path, number: int) -> dict[str, float]:
    """Measure one size once: seconds, and what was found."""
    cut = len(made) - len(made) // TEST_SHARE
    look_s, (earlier, later) = timed(
        lambda: (look(made[:cut], thumbnails, scratch), look(made[cut:], thumbnails, scratch))
    )
    asked = shifted_hashes(later)
    ways = (by_index, by_every_pair)[:: -1 if number % 2 else 1]
    found = {way.__name__: timed(partial(way, earlier.hashes, asked, bits)) for way in ways}
    compare_s, nearest = timed(lambda: nearest_rows(earlier, later, bits, least))
    index, pairs = found["by_index"], found["by_every_pair"]
    if index[1] != pairs[1]:
        raise SystemExit(f"the index finds {index[1]} pairs, and there are {pairs[1]}")
    return {
        "look": look_s, "index": index[0], "pairs": pairs[0], "whole": look_s + compare_s,
        "candidates": index[1], "near": len(nearest.later),
    }  # fmt: skip


def hash_speeds(made: Pixels, _: int) -> dict[str, float]:
    """Return the seconds that a picture's hash takes, both ways."""
    import imagehash
    from PIL import Image

    ours_s, ours = timed(lambda: perceptual_hashes(thumbnails(made)))
    theirs_s, theirs = timed(lambda: [imagehash.phash(Image.fromarray(each[..., 0])) for each in made])
    if [f"{each:016x}" for each in ours] != list(map(str, theirs)):
        raise SystemExit("the hashes are not ImageHash's")
    return {"ours": ours_s / len(made), "theirs": theirs_s / len(made)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=70_000, help="of both parts (70000)")
    parser.add_argument("--rounds", type=int, default=3, help="quiet rounds wanted of each size (3)")
    parser.add_argument("--patience-s", type=float, default=300.0, help="noise to put up with, seconds a size (300)")
    parser.add_argument("--noisy", action="store_true", help="do not wait for quiet; each figure says so")
    arguments = parser.parse_args()
    rounds = Rounds(arguments.rounds, arguments.patience_s, arguments.noisy)
    params = load_recipe(ROOT).near_duplicates
    if not isinstance(params.bits, int):
        raise SystemExit("params.yaml: near_duplicates.bits is switched off; there is nothing to measure")
    made = pictures(arguments.rows)
    print(f"pictures of {SIDE} × {SIDE}, hashes that differ in at most {params.bits} bits, seconds of processor time")
    with tempfile.TemporaryDirectory() as name:
        for part in SIZES:
            some = made[: len(made) // part]
            results, note = rounds.of(partial(measure, some, params.bits, params.likeness, Path(name)))
            took = {key: statistics.median(each[key] for each in results) for key in results[0]}
            ratio = statistics.median(each["pairs"] / each["index"] for each in results)
            print(
                f"{len(some):8,} rows: look {took['look']:6.2f}, whole {took['whole']:7.2f}; search by index "
                f"{took['index']:6.2f}, every pair {took['pairs']:7.2f}: {ratio:5.1f} × "
                f"({took['candidates']:,.0f} pairs, {took['near']:,.0f} test rows near; {note})",
                flush=True,
            )
    results, note = rounds.of(partial(hash_speeds, made[:HASHED]))
    ratio = statistics.median(each["theirs"] / each["ours"] for each in results)
    print(
        f"a picture's hash: ours {statistics.median(each['ours'] for each in results) * 1e6:.0f} µs, ImageHash one by "
        f"one {statistics.median(each['theirs'] for each in results) * 1e6:.0f} µs: {ratio:.1f} × ({note})"
    )


if __name__ == "__main__":
    main()
