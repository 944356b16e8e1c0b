"""Data sets that are too large to ship, as stages find them: made here, with as few bytes on disk as they can have."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.source_rows import rows_at_once
from pipeline.records.contract_result import RESULT_FILE, ContractResult
from pipeline.records.feature import FeatureSpec
from pipeline.storage import shards
from pipeline.storage.record_files import write_record

_CLEAN = pa.schema([("id", pa.string()), ("label", pa.int32()), ("part", pa.string()), ("content_digest", pa.string())])
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


def write_prepared(folder: Path, spec: FeatureSpec, rows: int, classes: int) -> None:
    """Write a prepared part of black images: a sparse file, where the file system and `fallocate` can."""
    folder.mkdir(parents=True)
    schema = shards.prepared_schema([spec])
    at_once = rows_at_once(spec.size_bytes)
    black = np.zeros((at_once, *spec.shape), np.uint8)
    entries = []
    for number, numbers in enumerate(_pieces(rows, at_once)):
        table: dict[str, Any] = {
            "id": hex_names(numbers, 16),
            "label": (numbers % classes).astype(np.int32),
            spec.name: shards.column_of(black[: len(numbers)], spec),
            **{fact: np.zeros(len(numbers), np.float32) for fact in spec.facts},
        }
        entries.append(shards.write_shard(folder, number, schema, [pa.table(table).cast(schema)]))
        dig_holes(folder / entries[-1].path)
    shards.finish_dataset(folder, entries, schema, features=[spec], counts={"classes": {}})


def write_clean(folder: Path, rows: int, classes: int) -> None:
    """Write kept rows with the columns that `split` reads, every seventh of them a test row."""
    folder.mkdir(parents=True)
    entries = []
    for number, numbers in enumerate(_pieces(rows, rows_at_once(1))):
        table = {
            "id": hex_names(numbers, 16),
            "label": (numbers % classes).astype(np.int32),
            "part": np.where(numbers % 7 == 0, "test", "train").tolist(),
            "content_digest": hex_names(numbers, 32),
        }
        entries.append(shards.write_shard(folder, number, _CLEAN, [pa.table(table).cast(_CLEAN)]))
    shards.finish_dataset(folder, entries, _CLEAN)


def write_no_rejects(folder: Path) -> None:
    """Write a quarantine without rows."""
    folder.mkdir(parents=True)
    shards.finish_dataset(folder, [], _CLEAN)


def write_idx(folder: Path, part: str, images: Iterable[npt.NDArray[np.uint8]], shape: tuple[int, int, int]) -> None:
    """Write blocks of images, `[image, height, width]`, and of their labels as one part of an idx source."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / f"{part}-images-idx3-ubyte").open("wb") as pixels,
        (folder / f"{part}-labels-idx1-ubyte").open("wb") as labels,
    ):
        pixels.write(b"\0\0\x08\x03" + b"".join(side.to_bytes(4, "big") for side in shape))
        labels.write(b"\0\0\x08\x01" + shape[0].to_bytes(4, "big"))
        for block in images:
            pixels.write(block.tobytes())
            labels.write((np.arange(len(block)) % 10).astype(np.uint8).tobytes())


def write_passed(folder: Path) -> None:
    """Write the result of a contract that has passed."""
    folder.mkdir(parents=True)
    passed = ContractResult(suite="made", rows=0, outcome="pass", expectations=(), data_digest="made")
    write_record(folder / RESULT_FILE, passed)


def hex_names(numbers: npt.NDArray[np.int64], size_bytes: int) -> pa.Array:
    """Return a name of so many bytes, in hexadecimal digits, for each number: different for different ones."""
    words = numbers.astype(np.uint64)[:, None] + np.arange(size_bytes // 8, dtype=np.uint64) * np.uint64(2**32)
    words = words * np.uint64(0x9E3779B97F4A7C15)  # odd: a bijection
    words ^= words >> np.uint64(31)
    text = _HEX[words.view(np.uint8)]
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(2 * size_bytes)
    return pa.Array.from_buffers(pa.string(), len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(text)])


def dig_holes(path: Path) -> None:
    """Give back the blocks of a file that hold only zeros (fallocate(1)); where that cannot be, leave them."""
    subprocess.run(["fallocate", "--dig-holes", str(path)], check=False, capture_output=True)


def size_on_disk_mib(folder: Path) -> float:
    """Return how much of the disk a folder takes, MiB."""
    files = (Path(where, name) for where, _, names in os.walk(folder) for name in names)
    return sum(path.stat().st_blocks * 512 for path in files) / 2**20


def _pieces(rows: int, at_once: int) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, rows, at_once):
        yield np.arange(begin, min(rows, begin + at_once))
