"""The storage layout of data sets: few Parquet shards of fixed-size typed columns, read without copying.

A data set is a folder `part-00000.parquet …` with its manifest. A feature whose values are arrays is a fixed-size
binary column, a feature of single numbers a column of numbers; both are stored plain and uncompressed, so that they can
be read from a memory map as they stand (`mapped.py`). Written by the data phase, read by training, evaluation and the
gate. Arrow only: no Spark, no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import Bug, DataError
from pipeline.records.feature import FeatureSpec
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage import artifacts
from pipeline.storage.manifests import read_manifest, write_manifest
from pipeline.storage.mapped import Layouts, Values, map_columns
from pipeline.storage.row_columns import RowColumns, slices_in

ROWS_PER_GROUP = 8192
Columns = dict[str, npt.NDArray[Any]]  # by feature: [row, *shape]
_OF_CLASSES = RowColumns()


@dataclass(frozen=True)
class Rows:
    """Prepared rows: `ids [row] str`, `labels [row]`, and each feature's values, `[row, *shape]`, by its name.

    Labels are int32, or float64 where the target is a number. `slices` are by their column, `[row] str` each.
    """

    ids: list[str]
    labels: npt.NDArray[Any]
    columns: Mapping[str, Values]
    slices: Mapping[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


def prepared_schema(features: Sequence[FeatureSpec], own: RowColumns = _OF_CLASSES) -> pa.Schema:
    """Return the schema of prepared rows: id, label, weight, slices, then each feature's column and its facts."""
    fields = [pa.field("id", pa.string()), pa.field("label", own.label)]
    fields += [pa.field(name, kind) for name, kind in own.prepared]
    for spec in features:
        fields.append(pa.field(spec.name, arrow_type(spec)))
        fields += [pa.field(name, pa.type_for_alias(kind)) for name, kind in spec.facts.items()]
    return pa.schema(fields)


def arrow_type(spec: FeatureSpec) -> pa.DataType:
    """Return the Arrow type of a feature's column."""
    return pa.binary(spec.size_bytes) if spec.shape else pa.type_for_alias(spec.dtype)


def column_layouts(features: Sequence[FeatureSpec]) -> Layouts:
    """Return the dtype and the shape of a value of each feature's column."""
    return {spec.name: (spec.dtype, spec.shape) for spec in features}


def describe_schema(schema: pa.Schema, features: Sequence[FeatureSpec] = ()) -> dict[str, str]:
    """Return column → type for the manifest; a feature carries its shape: `uint8[28,28,1]`."""
    types = {spec.name: spec.type for spec in features}
    return {field.name: types.get(field.name, str(field.type)) for field in schema}


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"part-{number:05d}.parquet"


def write_shard(
    folder: Path,
    number: int,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    *,
    is_compact: bool = False,
    repeated: Sequence[str] | None = None,
) -> FileEntry:
    """Write one shard and return its entry for the manifest. The bytes depend on the rows and their order only.

    One that `is_compact` is compressed and has statistics, for whoever queries it; it cannot be mapped. Then `repeated`
    are the columns whose values come again and again (None: any may): only these have dictionaries.
    """
    path = folder / shard_name(number)
    dictionaries: Any = (True if repeated is None else list(repeated)) if is_compact else False
    rows = 0
    compression = "zstd" if is_compact else "none"
    with pq.ParquetWriter(
        path, schema, compression=compression, use_dictionary=dictionaries, write_statistics=is_compact
    ) as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=ROWS_PER_GROUP)
            rows += table.num_rows
    return FileEntry(path=path.name, rows=rows, size_bytes=path.stat().st_size, digest=artifacts.digest_file(path))


def write_passing_shard(folder: Path, number: int, table: pa.Table) -> None:
    """Write a shard that is read once and has no manifest: its pages have checksums in place of a digest."""
    path = folder / shard_name(number)
    with pq.ParquetWriter(
        path, table.schema, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))


def read_passing_shard(path: Path) -> pa.Table:
    """Read what `write_passing_shard` has written; raise DataError if it is damaged."""
    try:
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
            return file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # it is not there, or cannot be opened
        raise DataError(f"{path}: damaged: {error}; run again") from error


def finish_dataset(
    folder: Path,
    entries: Sequence[FileEntry],
    schema: pa.Schema,
    *,
    features: Sequence[FeatureSpec] = (),
    counts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write the manifest of the shards in `folder`: the last step of writing a data set."""
    manifest = Manifest(
        rows=sum(entry.rows for entry in entries),
        files=tuple(sorted(entries, key=lambda entry: entry.path)),
        columns=describe_schema(schema, features),
        features=tuple(features),
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


def array_of(column: pa.ChunkedArray | pa.Array, spec: FeatureSpec) -> npt.NDArray[Any]:
    """Return a feature's column as `[row, *shape]` of its dtype; no copy if it is one chunk."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    size = int(np.prod(spec.shape, dtype=np.int64))
    kind = np.dtype(spec.dtype)
    views = [
        np.frombuffer(chunk.buffers()[1], kind, count=len(chunk) * size, offset=chunk.offset * size * kind.itemsize)
        for chunk in chunks
        if len(chunk)
    ]
    flat = views[0] if len(views) == 1 else np.concatenate(views) if views else np.empty(0, kind)
    return flat.reshape(-1, *spec.shape)


def column_of(values: npt.NDArray[Any], spec: FeatureSpec) -> pa.Array:
    """Return a feature's values `[row, *shape]` as its column, without a copy."""
    contiguous = np.ascontiguousarray(values, spec.dtype)
    if contiguous.shape[1:] != spec.shape:
        raise Bug(f"feature {spec.name}: values of shape {contiguous.shape[1:]}, declared {spec.shape}")
    buffers = [None, pa.py_buffer(contiguous)]
    return pa.Array.from_buffers(arrow_type(spec), len(contiguous), buffers)


def first_rows(folder: Path, rows: int) -> Columns:
    """Return the features of the first `rows` rows, or as many as the first row group holds; unverified."""
    features = read_manifest(folder, verify=False).features
    first = next(iter_tables(folder, [spec.name for spec in features], verify=False))
    return {spec.name: array_of(first[spec.name], spec)[:rows] for spec in features}


def read_labels(folder: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the ids and the labels of a prepared data set, `[row] int32` or float64; unverified."""
    manifest = read_manifest(folder, verify=False)
    tables = list(iter_tables(folder, ["id", "label"], verify=False))
    table = pa.concat_tables(tables) if tables else prepared_schema([]).empty_table()
    return table["id"].to_pylist(), table["label"].to_numpy().astype(label_dtype(manifest))


def label_dtype(manifest: Manifest) -> str:
    """Return the dtype of a data set's labels: `int32` for classes, `float64` for numbers."""
    return "float64" if RowColumns.found(manifest.columns).is_number else "int32"


def read_texts(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Return columns of text, `[row] str` each; unverified."""
    tables = list(iter_tables(folder, names, verify=False)) if names else []
    return {name: [text for table in tables for text in table[name].to_pylist()] for name in names}


def read_rows(folder: Path, *, verify: bool = True) -> Rows:
    """Read the ids and the labels of a prepared data set, and map its features into memory.

    Raises DataError if its bytes do not match their manifest, or cannot be mapped.
    """
    manifest = read_manifest(folder, verify=verify)
    files = [(folder / entry.path, entry) for entry in manifest.files]
    columns = map_columns(files, {**column_layouts(manifest.features), "label": (label_dtype(manifest), ())})
    labels = columns.pop("label")[:]
    texts = read_texts(folder, ["id", *slices_in(manifest.columns)])
    return Rows(texts.pop("id"), labels, columns, texts)
