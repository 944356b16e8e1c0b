"""CIFAR's batches, binary and Python ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.opening import open_source, recognised
from pipeline.data.source_rows import Source
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError
from pipeline.recipe.slots import Choice

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 3, 32, 32), np.uint8)  # as the files have them: by channel
LABELS = np.arange(9, dtype=np.uint8) % 3
CLASSES = ("airplane", "bird", "cat")


def opened(folder: Path, classes: tuple[str, ...] = CLASSES, **settings: Any) -> Source:
    return open_source(Choice(name="cifar", settings=settings), folder, Wanted(classes))


def rows(folder: Path, classes: tuple[str, ...] = CLASSES, **settings: Any) -> list[dict[str, Any]]:
    return pa.concat_tables(opened(folder, classes, **settings).tables).to_pylist()


def binary(count: int, *labels: np.ndarray[Any, Any]) -> bytes:
    columns = [each[:count, None] for each in labels]
    return np.concatenate([*columns, PIXELS[:count].reshape(count, -1)], axis=1).tobytes()


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    (tmp_path / "data_batch_1.bin").write_bytes(binary(9, LABELS))
    (tmp_path / "data_batch_10.bin").write_bytes(binary(2, LABELS))
    (tmp_path / "data_batch_2.bin").write_bytes(binary(3, LABELS))
    (tmp_path / "test_batch.bin").write_bytes(binary(4, LABELS))
    (tmp_path / "readme.html").write_text("left alone")
    return tmp_path


def assert_pictures(found: list[dict[str, Any]], of: np.ndarray[Any, Any]) -> None:
    for row, pixels in zip(found, of, strict=True):
        assert row["image"] == pixels.transpose(1, 2, 0).tobytes()
        assert (row["image_height"], row["image_width"], row["image_channels"]) == (32, 32, 3)
        assert (row["image_mode"], row["image_encoding"], row["problem"]) == ("RGB", "raw", None)


def test_binary_batches_are_read_in_the_order_of_their_numbers(ten: Path) -> None:
    found = rows(ten)
    assert [row["source"] for row in found] == [
        *["data_batch_1.bin"] * 9, *["data_batch_2.bin"] * 3, *["data_batch_10.bin"] * 2, *["test_batch.bin"] * 4,
    ]  # fmt: skip
    assert [row["part"] for row in found] == ["train"] * 14 + ["test"] * 4
    assert [row["row"] for row in found[:9]] == list(range(9))
    assert [row["label"] for row in found[:9]] == LABELS.tolist()
    assert_pictures(found[:9], PIXELS)
    assert (opened(ten).rows, opened(ten).test_rows) == (18, 4)
    assert recognised(ten) == {"cifar": {}}


def test_labels_are_held_against_the_names_that_the_source_has(ten: Path) -> None:
    (ten / "batches.meta.txt").write_text("cat\nairplane\n\n")
    found = rows(ten)[:3]
    assert [row["label"] for row in found] == [2, 0, -1]
    assert [row["detail"] for row in found] == [None, None, "label 2 has no name"]
    (ten / "batches.meta.txt").write_text("cat\naeroplane\nbird\n")
    [_, second, _] = rows(ten)[:3]
    assert (second["label"], second["detail"]) == (-1, "'aeroplane' is none of data.classes (did you mean 'airplane'?)")


def test_of_a_hundred_classes_the_fine_or_the_coarse_labels_are_read(tmp_path: Path) -> None:
    coarse, fine = LABELS, LABELS[::-1]
    for name, count in (("train.bin", 9), ("test.bin", 2)):
        (tmp_path / name).write_bytes(binary(count, coarse, fine))
    assert [row["label"] for row in rows(tmp_path)[:9]] == fine.tolist()
    assert [row["label"] for row in rows(tmp_path, labels="coarse")[:9]] == coarse.tolist()
    assert_pictures(rows(tmp_path)[:9], PIXELS)
    assert [row["part"] for row in rows(tmp_path)] == ["train"] * 9 + ["test"] * 2


@pytest.mark.parametrize("protocol", [2, 4])
def test_python_batches_are_read_without_unpickling(tmp_path: Path, protocol: int) -> None:
    data = PIXELS.reshape(9, -1)
    batch = {b"data": data, b"labels": LABELS.tolist(), b"filenames": [b"a.png"] * 9}
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch, protocol))
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": data[:2], b"labels": [0, 1]}, protocol))
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"bird", b"cat", b"dog"]}, protocol))
    found = rows(tmp_path)
    assert_pictures(found[:9], PIXELS)
    assert [row["label"] for row in found[:3]] == [1, 2, -1]
    assert [row["part"] for row in found] == ["train"] * 9 + ["test"] * 2
    assert opened(tmp_path).rows is None
    fine = {b"data": data, b"fine_labels": LABELS.tolist(), b"coarse_labels": [1] * 9}
    hundred = tmp_path / "hundred"
    hundred.mkdir()
    (hundred / "train").write_bytes(pickle.dumps(fine, protocol))
    assert [row["label"] for row in rows(hundred, labels="coarse")] == [1] * 9
    assert [row["label"] for row in rows(hundred)] == LABELS.tolist()


def test_a_batch_of_another_size_is_an_error_before_a_run(ten: Path) -> None:
    path = ten / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_2\.bin: 9218 bytes, expected a multiple of 3073"):
        opened(ten)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"data_batch_2\.bin: 0 bytes"):
        opened(ten)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({b"data": PIXELS.reshape(9, -1)}, r"no list 'labels' in it \(valid: data\)"),
        ({b"labels": [1]}, "no batch of pictures: data of none"),
        ({b"data": PIXELS.reshape(9, -1), b"labels": [1]}, r"data of \(9, 3072\), expected \(1, 3072\)"),
        ({b"data": PIXELS.reshape(9, -1), b"labels": ["a"] * 9}, "a label that is no whole number"),
        ({b"data": PIXELS.reshape(9, -1), b"labels": [-1] * 9}, "a label that is no whole number"),
        ([1], "no whole Python batch"),
    ],
)
def test_a_python_batch_that_is_none_is_an_error(tmp_path: Path, batch: object, message: str) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match=message):
        rows(tmp_path)


def test_missing_double_and_mistaken_batches_are_named(ten: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match="no training batches; expected data_batch_1"):
        opened(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DataError, match="CIFAR-10 has no coarse labels"):
        opened(ten, labels="coarse")
    (ten / "data_batch_1").write_bytes(b"")
    with pytest.raises(DataError, match=r"data_batch_1 and data_batch_1\.bin are both here"):
        opened(ten)
