"""Stored models without TensorFlow; tests/system/test_models.py builds them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, StorageError
from pipeline.models import stored
from pipeline.records.architecture import Architecture
from pipeline.records.digests import digest_json
from pipeline.storage.artifacts import digest_file
from tests.models.made import architecture, image

WEIGHTS = {"dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "dense/bias": np.zeros(3, np.float32)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stored.save_weights(tmp_path / "model", architecture(), WEIGHTS)
    return tmp_path / "model"


def test_equal_models_are_equal_bytes(folder: Path, tmp_path: Path) -> None:
    shuffled = dict(reversed(WEIGHTS.items()))
    stored.save_weights(tmp_path / "other", architecture(), shuffled)
    for name in (stored.ARCHITECTURE_FILE, stored.WEIGHTS_FILE):
        assert (tmp_path / "other" / name).read_bytes() == (folder / name).read_bytes()
    assert stored.digest(tmp_path / "other") == stored.digest(folder)


@pytest.mark.parametrize(
    "other",
    [
        architecture(classes=("no", "yes")),
        architecture(image(std=91.0)),
        architecture(image(name="picture")),
        architecture(settings={"units": [4], "dropout": 0.5}),
    ],
)
def test_another_model_has_another_digest(folder: Path, tmp_path: Path, other: Architecture) -> None:
    stored.save_weights(tmp_path / "other", other, WEIGHTS)
    assert stored.digest(tmp_path / "other") != stored.digest(folder)


def test_defaults_are_written_out(folder: Path) -> None:
    assert stored.read_architecture(folder).settings == {"units": [4], "dropout": 0.2, "embedding": 8}


def test_an_architecture_comes_back_as_it_was(folder: Path) -> None:
    found = stored.read_architecture(folder)
    assert (found.name, found.task, found.classes) == ("mlp", "classification", ("yes", "no"))
    assert found.features == architecture().features


def test_the_file_counts_the_weights(folder: Path) -> None:
    assert json.loads((folder / stored.ARCHITECTURE_FILE).read_text())["parameters"] == 9


def test_the_digest_is_told_without_tensorflow(folder: Path) -> None:
    program = (
        "import sys, pathlib; from pipeline.models import stored;"
        "print(stored.digest(pathlib.Path(sys.argv[1])), 'tensorflow' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True).stdout
    assert said.split() == [stored.digest(folder), "False"]


def test_weights_come_back_as_they_were(folder: Path) -> None:
    found = stored.read_weights(folder)
    assert {name: (a.dtype, a.tolist()) for name, a in found.items()} == {
        name: (a.dtype, a.tolist()) for name, a in WEIGHTS.items()
    }


def test_a_flipped_bit_in_the_weights_is_noticed(folder: Path) -> None:
    path = folder / stored.WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for read in (stored.digest, stored.read_weights):
        with pytest.raises(DataError, match=r"weights\.safetensors: its bytes do not match"):
            read(folder)


@pytest.mark.parametrize("name", [stored.ARCHITECTURE_FILE, stored.WEIGHTS_FILE])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(StorageError, match=name):
        stored.digest(folder)


@pytest.mark.parametrize("key", ["name", "settings", "task", "features", "classes", "weights", "parameters"])
def test_an_architecture_without_a_key_is_refused(folder: Path, key: str) -> None:
    path = folder / stored.ARCHITECTURE_FILE
    value = json.loads(path.read_text())
    del value[key]
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=rf"architecture\.json: {key}: is missing"):
        stored.read_architecture(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 3}, "name"),
        ({"parameters": "9"}, "parameters"),
        ({"features": [{"name": "image"}]}, "features.0.kind: is missing"),
        ({"features": [image().to_json() | {"shape": [8, 0]}]}, "features.0.shape"),
        ({"layers": 3}, "layers"),
    ],
)
def test_an_architecture_with_a_wrong_value_is_refused_by_its_key(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    path = folder / stored.ARCHITECTURE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match=rf"architecture\.json: {said}"):
        stored.read_architecture(folder)


def test_weights_that_are_no_arrays_are_refused(folder: Path) -> None:
    (folder / stored.WEIGHTS_FILE).write_bytes(b"\x00damaged")
    with pytest.raises(DataError, match=r"weights\.safetensors: not a safetensors file"):
        stored.load_arrays(folder / stored.WEIGHTS_FILE)


def test_a_model_of_a_later_ratchet_is_refused_as_such(folder: Path) -> None:
    path = folder / stored.ARCHITECTURE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"record_version": 99}))
    with pytest.raises(DataError, match="written by a later Ratchet"):
        stored.digest(folder)


BEFORE = {
    "name": "mlp",
    "settings": {"units": [4], "dropout": 0.0},
    "input_shape": [8, 8, 1],
    "classes": ["yes", "no"],
    "statistics": {"mean": [72.0], "std": [90.0]},
    "parameters": 9,
}


def test_a_model_of_an_earlier_ratchet_is_read_and_its_digest_is_that_of_its_files_as_they_are(folder: Path) -> None:
    path = folder / stored.ARCHITECTURE_FILE
    weights = json.loads(path.read_text())["weights"]
    path.write_text(json.dumps(BEFORE | {"weights": weights}))

    assert stored.read_architecture(folder).features == (image(facts={}),)
    assert stored.digest(folder) == digest_json([digest_file(path), weights])
