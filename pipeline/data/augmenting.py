"""Changed copies of training images: flip, scale, rotate, shift, noise, erase.

A copy depends only on the seed, the row's id and the copy's number: its random numbers come from a counter-based
generator (see counter_random), and everything per pixel is integer arithmetic. Batches, partitions and the order of
rows make no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.counter_random import Keys, copy_keys, normal, row_keys, uniform
from pipeline.data.grey_levels import image_sums, image_table
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, slices, sweep_attempts
from pipeline.data.warping import affine, warp
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import Shape, finish_dataset, image_schema, image_shape, pixels_of, shard_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.recipe import AugmentParams

# Positions of each change's random numbers in a copy's stream: a new change gets new ones, the others keep theirs.
_FLIP, _SCALE, _ANGLE, _SHIFT_X, _SHIFT_Y = range(5)
_WARP_DRAWS = 5
_ERASE, _ERASE_DRAWS = 5, 6  # whether, area, aspect, top, left, grey level
_NOISE = 16
_NOISE_BLOCK_BYTES = 32_768
_BLOCK_BYTES = 16 * 2**20  # pixels made at a time


def augmented_schema(shape: Shape) -> pa.Schema:
    """Return the schema of augmented images: shards.image_schema, the copy's number (from 1), the source row's id."""
    return image_schema(shape).append(pa.field("copy", pa.int32())).append(pa.field("source_id", pa.string()))


def augment_batch(pixels: npt.NDArray[np.uint8], keys: Keys, params: AugmentParams) -> npt.NDArray[np.uint8]:
    """Return a changed copy of each of `[image, height, width, channel] uint8`; `keys` are copy_keys, `[image]`."""
    return erase_batch(noise_batch(warp_batch(pixels, keys, params), keys, params), keys, params)


def warp_batch(pixels: npt.NDArray[np.uint8], keys: Keys, params: AugmentParams) -> npt.NDArray[np.uint8]:
    """Flip, scale, rotate and shift in one warp. The scale is log-uniform: as often smaller as larger."""
    if not (params.flip or params.scale or params.rotate_deg or params.shift):
        return pixels
    draws = uniform(keys, 0, _WARP_DRAWS)
    either_way = 2 * draws - 1
    _, height, width, _ = pixels.shape
    moved = affine(
        is_flipped=draws[:, _FLIP] < params.flip,
        scale=np.power(1 + params.scale, either_way[:, _SCALE]),
        angle_rad=np.deg2rad(params.rotate_deg) * either_way[:, _ANGLE],
        shift_x=params.shift * width * either_way[:, _SHIFT_X],
        shift_y=params.shift * height * either_way[:, _SHIFT_Y],
    )
    return warp(pixels, moved)


def noise_batch(pixels: npt.NDArray[np.uint8], keys: Keys, params: AugmentParams) -> npt.NDArray[np.uint8]:
    """Add normal noise with a standard deviation of `params.noise` grey levels to every value; clip to 0 and 255."""
    if not params.noise:
        return pixels
    images = len(pixels)
    flat = pixels.reshape(images, int(np.prod(pixels.shape[1:])))
    noisy = np.empty_like(flat)
    block = max(1, _NOISE_BLOCK_BYTES // flat.shape[1])
    for start in range(0, images, block):
        levels = normal(keys[start : start + block], _NOISE, flat.shape[1], params.noise)
        levels += flat[start : start + block]
        noisy[start : start + block] = np.clip(levels, 0, 255, out=levels)
    return noisy.reshape(pixels.shape)


def erase_batch(pixels: npt.NDArray[np.uint8], keys: Keys, params: AugmentParams) -> npt.NDArray[np.uint8]:
    """Cover a rectangle of some images with one grey level: Z. Zhong et al., "Random Erasing", AAAI 2020, algorithm 1.

    The area is uniform in (0, `erase_area`], the aspect ratio log-uniform in [1/2, 2], position and grey level uniform.
    """
    if not (params.erase and params.erase_area):
        return pixels
    draws = uniform(keys, _ERASE, _ERASE_DRAWS)
    chosen = np.flatnonzero(draws[:, 0] < params.erase)
    _, area, aspect, top, left, level = draws[chosen].T
    _, height, width, _ = pixels.shape
    covered = (1 - area) * params.erase_area * height * width
    ratio = np.exp2(2 * aspect - 1)
    is_row = _spans(np.sqrt(covered * ratio), top, height)
    is_column = _spans(np.sqrt(covered / ratio), left, width)
    covered_pixels = (is_row[:, :, None] & is_column[:, None, :])[..., None]
    levels = np.floor(level * 256).astype(np.uint8)[:, None, None, None]
    erased = pixels.copy()
    erased[chosen] = np.where(covered_pixels, levels, pixels[chosen])
    return erased


def _spans(length: npt.NDArray[np.float64], position: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Return `[image, side]`: true over `length` pixels (1 to `side`) at `position` (0 to 1) of the free range."""
    whole = np.clip(np.rint(length), 1, side)
    first = np.floor(position * (side - whole + 1))
    pixel = np.arange(side)
    within: npt.NDArray[np.bool_] = (pixel >= first[:, None]) & (pixel < (first + whole)[:, None])
    return within


@dataclass(frozen=True)
class AugmentedShard:
    """The written file and its rows by label."""

    entry: FileEntry
    labels: Counter[int]


def augment_dataset(
    session: SparkSession | None,
    training: Path,
    augmented: Path,
    *,
    seed: int,
    params: AugmentParams,
    on_progress: Callable[[int, int], None],
) -> Manifest:
    """Write `params.copies` changed copies of each training image to `augmented`; an empty data set for 0 copies.

    A session is needed only if there are copies to make.
    """
    manifest = read_manifest(training)
    shape = image_shape(manifest)
    done: list[AugmentedShard] = []
    if params.copies and session is not None:
        done = run_tasks(
            session,
            partial(augment_shard, training=training, augmented=augmented, shape=shape, seed=seed, params=params),
            [(number, entry.rows * params.copies) for number, entry in enumerate(manifest.files)],
            on_progress,
        )
        sweep_attempts(augmented)
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels)
    by_class = {name: labels[label] for label, name in enumerate(manifest.counts["classes"])}
    return finish_dataset(
        augmented,
        [shard.entry for shard in done],
        augmented_schema(shape),
        shape=shape,
        counts={"copies": params.copies, "classes": by_class},
    )


def augment_shard(
    number: int, training: Path, augmented: Path, shape: Shape, seed: int, params: AugmentParams
) -> AugmentedShard:
    """Write shard n of the augmented images from shard n of the training part: all first copies, all second copies …"""
    rows = read_shard(training / shard_name(number), ["id", "label", "pixels"])
    entry = publish_shard(augmented, number, augmented_schema(shape), _augmented(rows, shape, seed, params))
    labels = Counter(rows["label"].to_pylist())
    return AugmentedShard(entry, Counter({label: count * params.copies for label, count in labels.items()}))


def _augmented(rows: pa.Table, shape: Shape, seed: int, params: AugmentParams) -> Iterator[pa.Table]:
    block = max(1, _BLOCK_BYTES // int(np.prod(shape)))
    for copy in range(1, params.copies + 1):
        for piece in slices(rows, block):
            ids = piece["id"].to_pylist()
            keys = copy_keys(row_keys(ids, seed), copy)
            pixels = augment_batch(pixels_of(piece["pixels"], shape), keys, params)
            names = pa.chunked_array([[f"{row_id}-{copy}" for row_id in ids]])
            table = image_table(names, piece["label"], pixels, image_sums(pixels))
            table = table.append_column("copy", pa.array(np.full(len(ids), copy, np.int32)))
            yield table.append_column("source_id", piece["id"])
