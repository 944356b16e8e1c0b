"""The idx parser: what it reads, and that nothing else gets through."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.opening import open_source
from pipeline.data.sources.idx import open_idx
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, StorageError, UsageError
from pipeline.recipe.slots import Choice
from tests.data.conftest import litter

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 5, 4), np.uint8)
IDX = Choice(name="idx")
LABELS = np.arange(7, dtype=np.uint8)


def read(folder: Path) -> pa.Table:
    return pa.concat_tables(open_source(IDX, folder, Wanted()).tables)


def pixels(table: pa.Table, shape: tuple[int, int, int]) -> np.ndarray:
    return np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, *shape)


@pytest.mark.parametrize("gz", [False, True])
def test_images_and_labels_come_back_as_they_were_written(write_idx, gz):
    write_idx(IMAGES, LABELS, gz=gz)
    folder = write_idx(IMAGES[:3], LABELS[:3], "t10k", gz=gz)

    assert open_source(IDX, folder, Wanted()).rows == 10
    table = read(folder)

    assert table["part"].to_pylist() == ["train"] * 7 + ["test"] * 3
    assert table["label"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert table["row"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert np.array_equal(pixels(table, (5, 4, 1))[..., 0], np.concatenate([IMAGES, IMAGES[:3]]))


def test_four_dimensions_are_images_with_channels_last(write_idx):
    colour = np.random.default_rng(1).integers(0, 256, (3, 5, 4, 3), np.uint8)

    table = read(write_idx(colour, LABELS[:3]))

    assert table["image_channels"].to_pylist() == [3, 3, 3]
    assert np.array_equal(pixels(table, (5, 4, 3)), colour)


def test_what_other_programs_leave_in_the_folder_is_left_alone(write_idx):
    folder = write_idx(IMAGES, LABELS)
    before = read(folder)
    litter(folder, "train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

    assert read(folder).equals(before)


def test_files_that_dvc_has_replaced_by_links_are_read(write_idx, tmp_path):
    folder = write_idx(IMAGES, LABELS)
    before = read(folder)
    for number, path in enumerate(list(folder.iterdir())):
        path.rename(tmp_path / str(number))
        path.symlink_to(tmp_path / str(number))

    assert read(folder).equals(before)


def test_the_spelling_with_a_dot_is_accepted(write_idx):
    folder = write_idx(IMAGES, LABELS)
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("-ubyte", ".ubyte")))

    assert read(folder).num_rows == 7


def header(*sizes: int, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, kind, len(sizes), *sizes)


BAD_IMAGES = {
    "wrong magic": (b"\x01\x02\x08\x03" + bytes(100), "not an idx file: begins with 01 02 08 03"),
    "empty file": (b"", "not an idx file: begins with nothing"),
    "another type": (header(7, 5, 4, kind=0x0D) + bytes(140), "idx type 0x0d, expected 0x08"),
    "labels in its place": (header(140) + bytes(140), "1 dimensions, expected 3 or 4"),
    "short header": (header(7, 5, 4)[:10], "truncated inside its header: 10 bytes of 16"),
    "truncated": (header(7, 5, 4) + bytes(139), "truncated"),
    "trailing bytes": (header(7, 5, 4) + bytes(141), "holds more bytes than"),
    "zero items": (header(0, 5, 4), "zero items"),
    "zero height": (header(7, 0, 4), "images of 0 × 4"),
    "enormous": (header(2**32 - 1, 4096, 4096) + bytes(9), "truncated: declares 4294967295 items"),
    "two channels": (header(7, 5, 4, 2) + bytes(280), "1 or 3 channels"),
}


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_file_is_named_with_what_was_found(write_idx, name, gz):
    folder = write_idx(IMAGES, LABELS)
    (folder / "train-images-idx3-ubyte").unlink()
    content, message = BAD_IMAGES[name]
    path = folder / ("train-images-idx3-ubyte" + (".gz" if gz else ""))
    path.write_bytes(gzip.compress(content) if gz else content)

    with pytest.raises(DataError) as raised:
        read(folder)

    assert message in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "its gzip stream ends too soon"),
        (lambda content: content[:-8] + bytes(4) + content[-4:], "its gzip stream is damaged"),
        (lambda content: content + b"more", "its gzip stream is damaged"),
        (lambda content: b"not gzip at all", "its gzip stream is damaged"),
    ],
)
def test_damaged_gzip_is_named(write_idx, damage, message):
    folder = write_idx(IMAGES, LABELS, gz=True)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DataError, match=message):
        read(folder)


def test_gzip_under_a_plain_name_is_explained(write_idx):
    folder = write_idx(IMAGES, LABELS)
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))

    with pytest.raises(DataError, match=r"give its name the ending \.gz"):
        read(folder)


def test_a_gzip_bomb_is_not_inflated(write_idx):
    folder = write_idx(IMAGES, LABELS, gz=True)
    bomb = gzip.compress(header(7, 5, 4) + bytes(24 * 2**20), 1)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(bomb)

    tracemalloc.start()
    with pytest.raises(DataError, match="holds more bytes than"):
        read(folder)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 2 * 2**20


@pytest.mark.parametrize(("count", "message"), [(8, "more labels than images"), (6, "fewer labels than images")])
def test_labels_must_match_images(write_idx, count, message):
    with pytest.raises(DataError, match=message):
        read(write_idx(IMAGES, np.zeros(count, np.uint8)))


def test_missing_partner_missing_training_files_and_double_files_are_named(write_idx, tmp_path):
    with pytest.raises(DataError, match="no training files"):
        read(write_idx(IMAGES, LABELS, "t10k"))
    folder = write_idx(IMAGES, LABELS)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing beside t10k-images-idx3-ubyte"):
        read(folder)
    write_idx(IMAGES, LABELS, gz=True)
    with pytest.raises(DataError, match="are both here"):
        read(folder)


def test_a_missing_folder_is_a_storage_error_and_an_unknown_format_a_usage_error(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        open_source(IDX, tmp_path / "nowhere", Wanted())
    with pytest.raises(UsageError, match="did you mean 'idx'"):
        open_source(Choice(name="idxx"), tmp_path, Wanted())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=64),
        st.builds(lambda sizes, rest: header(*sizes) + rest, st.lists(st.integers(0, 9), max_size=5), st.binary()),
        st.builds(
            lambda sizes: header(*sizes) + bytes(int(np.prod(sizes))),
            st.lists(st.integers(1, 5), min_size=3, max_size=4),
        ),
    ),
    gz=st.sampled_from(["plain", "gzip", "not really gzip"]),
)
def test_any_bytes_are_either_read_whole_or_refused(tmp_path, content, gz):
    path = tmp_path / ("images" if gz == "plain" else "images.gz")
    path.write_bytes(gzip.compress(content, 1) if gz == "gzip" else content)
    try:
        file = open_idx(path, (3, 4))
        blocks = list(file.blocks(2))
    except DataError as error:
        assert str(path) in str(error)
        return

    assert gz != "not really gzip"
    assert content == header(*file.shape) + b"".join(blocks)
