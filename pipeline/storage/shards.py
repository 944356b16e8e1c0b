"""The storage layout of image data sets: few Parquet shards of fixed-size uint8 images, read without copying.

A data set is a folder `part-00000.parquet …` with its manifest. Pixels are a fixed-size binary column, stored plain and
uncompressed, so that a row group becomes a numpy array `[row, height, width, channel] uint8` without decoding a row.
Written by the data phase, read by training, evaluation and the gate. Arrow only: no Spark, no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage import artifacts
from pipeline.storage.manifests import read_manifest, write_manifest

Shape = tuple[int, int, int]  # height, width, channels
ROWS_PER_GROUP = 8192

# What ingest writes: the payload as it was in the source (`encoding` raw: row-major uint8 pixels).
RAW_SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # stable: derived from the content
        ("label", pa.int32()),  # from the source; -1 if it has none
        ("part", pa.string()),  # the source's own part: train or test
        ("source", pa.string()),  # file inside the source folder
        ("row", pa.int64()),  # position in that file
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("channels", pa.int32()),
        ("encoding", pa.string()),
        ("payload_digest", pa.string()),  # sha256 of shape and payload, hex
        ("payload", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Images:
    """Prepared rows: `ids [row] str`, `labels [row] int32`, `pixels [row, height, width, channel] uint8`."""

    ids: list[str]
    labels: npt.NDArray[np.int32]
    pixels: npt.NDArray[np.uint8]


def image_schema(shape: Shape) -> pa.Schema:
    """Return the schema of prepared images of a shape; `pixel_mean` and `pixel_std` are in grey levels of 0 to 255."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("label", pa.int32()),
            ("pixels", pa.binary(int(np.prod(shape)))),
            ("pixel_mean", pa.float32()),
            ("pixel_std", pa.float32()),
        ]
    )


def describe_schema(schema: pa.Schema, shape: Shape | None = None) -> dict[str, str]:
    """Return column → type for the manifest; pixels carry their shape: `uint8[28,28,1]`."""
    described = {field.name: str(field.type) for field in schema}
    if shape is not None:
        described["pixels"] = f"uint8[{','.join(map(str, shape))}]"
    return described


def image_shape(manifest: Manifest) -> Shape:
    """Return the shape that a manifest declares for `pixels`; raise DataError if it declares none."""
    text = manifest.columns.get("pixels", "")
    parts = text.removeprefix("uint8[").removesuffix("]").split(",")
    if not text.startswith("uint8[") or len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise DataError(f"manifest: column pixels has type '{text}', expected uint8[height,width,channels]")
    height, width, channels = (int(part) for part in parts)
    return height, width, channels


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"part-{number:05d}.parquet"


def write_shard(folder: Path, number: int, schema: pa.Schema, tables: Iterable[pa.Table]) -> FileEntry:
    """Write one shard and return its entry for the manifest. The bytes depend on the rows and their order only."""
    path = folder / shard_name(number)
    rows = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_statistics=False) as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=ROWS_PER_GROUP)
            rows += table.num_rows
    return FileEntry(path=path.name, rows=rows, size_bytes=path.stat().st_size, digest=artifacts.digest_file(path))


def finish_dataset(
    folder: Path,
    entries: Sequence[FileEntry],
    schema: pa.Schema,
    *,
    shape: Shape | None = None,
    counts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write the manifest of the shards in `folder`: the last step of writing a data set."""
    manifest = Manifest(
        rows=sum(entry.rows for entry in entries),
        files=tuple(sorted(entries, key=lambda entry: entry.path)),
        columns=describe_schema(schema, shape),
        counts=dict(counts or {}),
    )
    write_manifest(folder, manifest)
    return manifest


def iter_tables(folder: Path, columns: Sequence[str] | None = None, *, verify: bool = True) -> Iterator[pa.Table]:
    """Yield the row groups of a data set in order, after checking its manifest (and digests, if `verify`)."""
    manifest = read_manifest(folder, verify=verify)
    for entry in manifest.files:
        yield from iter_shard(folder / entry.path, columns)


def iter_shard(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of one shard; raise DataError if it is not Parquet."""
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=columns)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def pixels_of(column: pa.ChunkedArray | pa.FixedSizeBinaryArray, shape: Shape) -> npt.NDArray[np.uint8]:
    """Return a fixed-size binary column as `[row, height, width, channel] uint8`; no copy if it is one chunk."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    size = int(np.prod(shape))
    views = [
        np.frombuffer(chunk.buffers()[1], np.uint8, count=len(chunk) * size, offset=chunk.offset * size)
        for chunk in chunks
        if len(chunk)
    ]
    flat = views[0] if len(views) == 1 else np.concatenate(views) if views else np.empty(0, np.uint8)
    return flat.reshape(-1, *shape)


def pixel_column(pixels: npt.NDArray[np.uint8]) -> pa.FixedSizeBinaryArray:
    """Return images `[row, height, width, channel] uint8` as a fixed-size binary column, without a copy."""
    contiguous = np.ascontiguousarray(pixels)
    size = int(np.prod(contiguous.shape[1:]))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), len(contiguous), [None, pa.py_buffer(contiguous)])


def first_images(folder: Path, rows: int) -> npt.NDArray[np.uint8]:
    """Return the first `rows` images of a prepared data set, or as many as its first row group holds; unverified."""
    shape = image_shape(read_manifest(folder, verify=False))
    first = next(iter_tables(folder, ["pixels"], verify=False))
    return pixels_of(first["pixels"], shape)[:rows]


def read_images(folder: Path, *, verify: bool = True) -> Images:
    """Read a whole prepared data set into memory. For parts that fit: 70 000 images of 28 × 28 are 55 MB."""
    shape = image_shape(read_manifest(folder, verify=False))
    tables = list(iter_tables(folder, ["id", "label", "pixels"], verify=verify))
    if not tables:
        return Images([], np.empty(0, np.int32), np.empty((0, *shape), np.uint8))
    table = pa.concat_tables(tables)
    return Images(
        ids=table["id"].to_pylist(),
        labels=table["label"].to_numpy().astype(np.int32),
        pixels=pixels_of(table["pixels"], shape),
    )
