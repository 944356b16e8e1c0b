"""From clean rows of any encoding to fixed-size uint8 images, one folder a part, with their grey-level statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.data.decoding import decode_payloads
from pipeline.data.grey_levels import ChannelSums, image_sums, image_table
from pipeline.data.resizing import resize
from pipeline.data.shard_tasks import publish_shard, read_shard, slices
from pipeline.errors import DataError
from pipeline.records.manifest import FileEntry
from pipeline.storage.shards import Shape, image_schema, shard_name

_BLOCK_BYTES = 16 * 2**20  # pixels made at a time


@dataclass(frozen=True)
class ShardToNormalize:
    """A shard of the clean data, and the number its rows of each part get in that part's folder."""

    number: int
    number_in_part: Mapping[str, int]


@dataclass(frozen=True)
class NormalizedShard:
    """What a shard became: by part, the written file, the rows by label and the sums of their grey levels."""

    entries: dict[str, FileEntry]
    labels: dict[str, Counter[int]]
    sums: dict[str, ChannelSums]


def normalize_shard(
    task: ShardToNormalize, clean: Path, split: Path, prepared: Path, image: Shape, target: Shape
) -> NormalizedShard:
    """Decode and resize one shard from `image` to `target`, and write its rows of each part to `prepared/<part>/`.

    Raises DataError if the shard of `split` does not name the same rows.
    """
    rows = read_shard(clean / shard_name(task.number), ["id", "label", "encoding", "payload"])
    parts = read_shard(split / shard_name(task.number))
    if not rows["id"].equals(parts["id"]):
        raise DataError(
            f"data/split/{shard_name(task.number)}: its rows are not those of data/clean; run stage split again"
        )
    part_of_row = np.asarray(parts["part"].to_pylist(), np.object_)
    result = NormalizedShard({}, {}, {})
    for part, number in task.number_in_part.items():
        chosen = rows.filter(pa.array(part_of_row == part))
        gathered: list[ChannelSums] = []
        result.entries[part] = publish_shard(
            prepared / part, number, image_schema(target), _normalized(chosen, image, target, gathered)
        )
        result.labels[part] = Counter(chosen["label"].to_pylist())
        result.sums[part] = sum(gathered[1:], gathered[0])
    return result


def _normalized(rows: pa.Table, image: Shape, target: Shape, gathered: list[ChannelSums]) -> Iterator[pa.Table]:
    block = max(1, _BLOCK_BYTES // max(int(np.prod(image)), int(np.prod(target))))
    for piece in slices(rows, block):
        pixels = resize(decode_payloads(piece, image), *target[:2])
        sums = image_sums(pixels)
        gathered.append(ChannelSums.of(sums))
        yield image_table(piece["id"], piece["label"], pixels, sums)
