"""A mapped column gives what an array of the same values gives; what is not stored plain is refused, never misread."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError, StorageError
from pipeline.records.feature import FeatureSpec
from pipeline.records.manifest import FileEntry
from pipeline.storage import shards
from pipeline.storage.mapped import MappedColumn, map_columns

PICTURE = FeatureSpec(name="picture", kind="image", dtype="uint8", shape=(10, 20, 3))
CURVE = FeatureSpec(name="curve", kind="series", dtype="float32", shape=(5,))
SMALL = FeatureSpec(name="small", kind="number", dtype="uint8", shape=())
LARGE = FeatureSpec(name="large", kind="number", dtype="int64", shape=())
FEATURES = (PICTURE, CURVE, SMALL, LARGE)
PLAIN: dict[str, Any] = {"compression": "none", "use_dictionary": False}


def values(spec: FeatureSpec, rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (rows, *spec.shape)).astype(spec.dtype)


def write(
    folder: Path, shard_rows: Sequence[int], features: Sequence[FeatureSpec] = FEATURES
) -> dict[str, np.ndarray[Any, Any]]:
    """Write shards of so many rows; return the values of all rows by feature."""
    schema = shards.prepared_schema(features)
    written: dict[str, list[np.ndarray[Any, Any]]] = {spec.name: [] for spec in features}
    for number, rows in enumerate(shard_rows):
        table = {"id": [f"{row}" for row in range(rows)], "label": np.arange(rows)}
        for spec in features:
            written[spec.name].append(values(spec, rows, number))
            table[spec.name] = shards.column_of(written[spec.name][-1], spec)
        shards.write_shard(folder, number, schema, [pa.table(table).cast(schema)])
    return {name: np.concatenate(parts) for name, parts in written.items()}


def entry(path: Path, rows: int) -> tuple[Path, FileEntry]:
    return path, FileEntry(path=path.name, rows=rows, size_bytes=0, digest="")


def mapped(
    folder: Path, shard_rows: Sequence[int], features: Sequence[FeatureSpec] = FEATURES
) -> dict[str, MappedColumn]:
    files = [entry(folder / shards.shard_name(number), rows) for number, rows in enumerate(shard_rows)]
    return map_columns(files, shards.column_layouts(features))


@settings(max_examples=15, deadline=None)
@given(data=st.data(), shard_rows=st.lists(st.integers(1, 3000), min_size=1, max_size=3))
def test_any_rows_of_any_shards_and_pages_are_those_of_an_array(data: st.DataObject, shard_rows: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = write(Path(name), shard_rows)
        columns = mapped(Path(name), shard_rows)
    row = st.integers(0, sum(shard_rows) - 1)
    rows = np.array(data.draw(st.lists(row, max_size=20)), np.int64)
    begin, end = data.draw(row), data.draw(row)
    for name, column in columns.items():
        assert (column.dtype, column.shape) == (written[name].dtype, written[name].shape)
        assert np.array_equal(column.take(rows), written[name][rows])
        assert np.array_equal(column[begin:end], written[name][begin:end])
        assert np.array_equal(column[:], written[name])


def test_a_shard_of_several_pages_and_row_groups_comes_back(tmp_path: Path) -> None:
    rows = 2 * shards.ROWS_PER_GROUP + 5
    written = write(tmp_path, [rows], [CURVE, LARGE])
    columns = mapped(tmp_path, [rows], [CURVE, LARGE])
    assert all(np.array_equal(column[:], written[name]) for name, column in columns.items())


@pytest.mark.parametrize("row", [-1, 7])
def test_a_row_that_is_not_there_is_an_index_error(tmp_path: Path, row: int) -> None:
    write(tmp_path, [3, 4])
    with pytest.raises(IndexError, match="of 7"):
        mapped(tmp_path, [3, 4])["large"].take(np.array([0, row]))


def test_no_shard_gives_no_rows() -> None:
    columns = map_columns([], shards.column_layouts(FEATURES))
    assert {name: (column[:].shape, column[:].dtype.name) for name, column in columns.items()} == {
        "picture": ((0, 10, 20, 3), "uint8"),
        "curve": ((0, 5), "float32"),
        "small": ((0,), "uint8"),
        "large": ((0,), "int64"),
    }


def test_a_map_takes_no_file_descriptor_and_no_memory_of_its_own(tmp_path: Path) -> None:
    rows = 60_000
    size_mib = (tmp_path / _zeros(tmp_path, rows)).stat().st_size / 2**20
    before, before_mib = open_files(), private_mib()
    column = map_columns([entry(tmp_path / shards.shard_name(0), rows)], {"picture": ("uint8", PICTURE.shape)})
    total = sum(int(column["picture"][begin : begin + 100].sum()) for begin in range(0, rows, 100))
    assert (total, open_files()) == (0, before)
    assert private_mib() - before_mib < size_mib / 4


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def private_mib() -> float:
    """Return the memory that is this process's alone (proc_pid_status(5), RssAnon)."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def _zeros(folder: Path, rows: int) -> str:
    schema = pa.schema([("picture", shards.arrow_type(PICTURE))])
    block = pa.table({"picture": shards.column_of(np.zeros((1000, *PICTURE.shape), np.uint8), PICTURE)})
    return shards.write_shard(folder, 0, schema, (block for _ in range(rows // 1000))).path


def written(path: Path, column: Any, **options: Any) -> tuple[Path, FileEntry]:
    """Write one column `curve` as Parquet."""
    table = column if isinstance(column, pa.Table) else pa.table({"curve": column})
    pq.write_table(table, path, **(PLAIN | options))
    return entry(path, table.num_rows)


def curve(missing: Sequence[int] = (), rows: int = 50) -> pa.Array:
    content = [None if row in missing else bytes([row % 7]) * 20 for row in range(rows)]
    return pa.array(content, pa.binary(20))


CURVE_LAYOUT = {"curve": ("float32", (5,))}


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        (curve(), {"use_dictionary": True}, "column curve is stored UNCOMPRESSED, .*DICTIONARY"),
        (curve(), {"compression": "snappy"}, "column curve is stored SNAPPY, .*PLAIN"),
        (curve(), {"data_page_version": "2.0"}, "column curve is not stored plain"),
        (curve(), {"column_encoding": "BYTE_STREAM_SPLIT"}, "column curve is not stored plain"),
        (curve([3]), {}, "column curve has missing values"),
        (curve(range(50)), {}, "column curve has missing values"),
        (pa.array([b"x" * 24], pa.binary(24)), {}, r"values of 24 bytes, declared are float32\[5\]"),
        (pa.array([b"x"], pa.binary()), {}, "column curve is of BYTE_ARRAY, whose values have no fixed size"),
        (pa.array([True]), {}, "column curve is of BOOLEAN, whose values have no fixed size"),
        (pa.table({"other": curve()}), {}, "there is no column curve"),
        (pa.table({"curve": pa.array([[1.0] * 5], pa.list_(pa.float32(), 5))}), {}, "there is no column curve"),
    ],
)
def test_what_is_not_stored_plain_is_refused(tmp_path: Path, column: Any, options: Any, message: str) -> None:
    file = written(tmp_path / "part-00000.parquet", column, **options)
    with pytest.raises(DataError, match=rf"part-00000\.parquet: .*{message}.*; run `dvc repro`"):
        map_columns([file], CURVE_LAYOUT)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 300),
    missing=st.lists(st.integers(0, 299), max_size=3),
    page=st.integers(20, 2000),
    has_checksums=st.booleans(),
    has_statistics=st.booleans(),
    is_nullable=st.booleans(),
)
def test_a_column_is_read_in_place_exactly_if_it_has_every_value(
    rows: int, missing: list[int], page: int, has_checksums: bool, has_statistics: bool, is_nullable: bool
) -> None:
    missing = [row for row in missing if row < rows and is_nullable]
    schema = pa.schema([pa.field("curve", pa.binary(20), nullable=is_nullable)])
    options = {"data_page_size": page, "write_page_checksum": has_checksums, "write_statistics": has_statistics}
    with tempfile.TemporaryDirectory() as name:
        table = pa.table([curve(missing, rows)], schema=schema)
        file = written(Path(name) / "one.parquet", table, write_batch_size=7, row_group_size=100, **options)
        if missing:
            with pytest.raises(DataError, match="has missing values"):
                map_columns([file], CURVE_LAYOUT)
        else:
            [column] = map_columns([file], CURVE_LAYOUT).values()
            assert column[:].tobytes() == b"".join(curve(rows=rows).to_pylist())


HEADER = "1500 15dc0f 15dc0f 2c 1564 1500 1506 1506 1c0000 00 02000000 6401"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("1504 15dc0f 15dc0f 2c 1564 1500 1506 1506 1c0000 00 02000000 6401", "is not stored plain"),
        ("1500 15da0f 15dc0f 2c 1564 1500 1506 1506 1c0000 00 02000000 6401", "is not stored plain"),
        ("1500 15dc0f 15dc0f 2c 1564 1510 1506 1506 1c0000 00 02000000 6401", "is not stored plain"),
        ("1500 15dc0f 15dc0f 2c 1564 1500 1508 1506 1c0000 00 02000000 6401", "has missing values"),
        ("1500 15dc0f 15dc0f 2c 1564 1500 1506 1506 1c0000 00 02000000 6400", "has missing values"),
        ("1500 15dc0f 15dc0f 2c 1564 1500 1506 1506 1c0000 00 02000000 6201", "has a page header that cannot be read"),
        ("1500 15dc0f 15dc0f 2c 1562 1500 1506 1506 1c0000 00 02000000 6401", "has a page of 1000 bytes for 49 values"),
        ("1500 158410 158410 2c 1566 1500 1506 1506 1c0000 00 02000000 6601", "has a page of 1020 bytes for 51 values"),
        ("1500 158410 158410 2c 1500 1500 1506 1506 1c0000 00 02000000 6601", "has a page of 1020 bytes for 0 values"),
        (
            "1900 15dc0f 15dc0f 2c 1564 1500 1506 1506 1c0000 00 02000000 6401",
            "has a header with a field of Thrift's kind 9",
        ),
    ],
)
def test_a_page_whose_header_says_something_else_is_refused(tmp_path: Path, header: str, message: str) -> None:
    file = written(tmp_path / "one.parquet", curve(), write_statistics=False)
    content = file[0].read_bytes()
    assert content.startswith(b"PAR1" + bytes.fromhex(HEADER))
    file[0].write_bytes(content.replace(bytes.fromhex(HEADER), bytes.fromhex(header), 1))
    with pytest.raises(DataError, match=rf"one\.parquet: column curve {message}"):
        map_columns([file], CURVE_LAYOUT)


def test_other_rows_than_the_manifest_says_are_refused(tmp_path: Path) -> None:
    path, _ = written(tmp_path / "one.parquet", curve())
    with pytest.raises(DataError, match=r"one\.parquet: 50 rows, its manifest says 51"):
        map_columns([entry(path, 51)], CURVE_LAYOUT)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(4, 1030), byte=st.integers(0, 255))
def test_whatever_byte_of_a_page_is_damaged_only_values_can_be_other_ones(place: int, byte: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = written(Path(name) / "one.parquet", curve(), write_statistics=False)
        content = bytearray(file[0].read_bytes())
        content[place] = byte
        file[0].write_bytes(content)
        try:
            [column] = map_columns([file], CURVE_LAYOUT).values()
        except DataError:
            return
        assert column[:].shape == (50, 5)


@pytest.mark.parametrize("content", [b"", b"PAR1 not really", b"PAR1" * 3])
def test_bytes_that_are_not_parquet_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"one\.parquet: not a readable Parquet file"):
        map_columns([entry(path, 1)], CURVE_LAYOUT)


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"one\.parquet: cannot be read: .*[Nn]o such file"):
        map_columns([entry(tmp_path / "one.parquet", 1)], CURVE_LAYOUT)
