"""Stored models without TensorFlow; tests/system/test_models.py builds them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.models.lookup import architecture_names, checked_settings
from pipeline.records.architecture import Architecture

WEIGHTS = {"dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "dense/bias": np.zeros(3, np.float32)}


def architecture(**changes: Any) -> Architecture:
    values: dict[str, Any] = {
        "name": "mlp",
        "settings": {"units": [4]},
        "input_shape": (8, 8, 1),
        "classes": ("yes", "no"),
        "statistics": {"mean": [72.5], "std": [90.0]},
    }
    return Architecture(**{**values, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stored.save_weights(tmp_path / "model", architecture(), WEIGHTS)
    return tmp_path / "model"


def test_architectures_are_the_files_that_build_one() -> None:
    assert architecture_names() == ["cnn", "mlp"]


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
        architecture(statistics={"mean": [72.5], "std": [91.0]}),
        architecture(settings={"units": [4], "dropout": 0.5}),
    ],
)
def test_another_model_has_another_digest(folder: Path, tmp_path: Path, other: Architecture) -> None:
    stored.save_weights(tmp_path / "other", other, WEIGHTS)
    assert stored.digest(tmp_path / "other") != stored.digest(folder)


def test_defaults_are_written_out(folder: Path) -> None:
    assert stored.read_architecture(folder) == architecture(settings={"units": [4], "dropout": 0.2})


def test_sizes_are_known_without_tensorflow(folder: Path) -> None:
    program = (
        "import sys, pathlib; from pipeline.models import stored; folder = pathlib.Path(sys.argv[1]);"
        "print(stored.parameter_count(folder), stored.digest(folder), 'tensorflow' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["9", stored.digest(folder), "False"]
    assert stored.size_bytes(folder) == (folder / stored.WEIGHTS_FILE).stat().st_size


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


@pytest.mark.parametrize("key", ["name", "settings", "input_shape", "classes", "statistics", "weights", "parameters"])
def test_an_architecture_without_a_key_is_refused(folder: Path, key: str) -> None:
    path = folder / stored.ARCHITECTURE_FILE
    value = json.loads(path.read_text())
    del value[key]
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=f"does not describe a model.*{key}"):
        stored.read_architecture(folder)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("resnet", {}, "no architecture 'resnet' in pipeline/models"),
        ("stored", {}, "no architecture 'stored'"),
        ("cnn", {"filter": [8]}, "unknown key 'filter' .*did you mean 'filters'"),
        ("cnn", {"filters": []}, "filters"),
        ("cnn", {"filters": [0]}, "filters.0"),
        ("cnn", {"dense": 1.5}, "dense"),
        ("mlp", {"dropout": 1.0}, "dropout"),
        ("mlp", {"dropout": float("nan")}, "dropout"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked_settings(name, settings)


@pytest.mark.parametrize(
    "statistics",
    [{"mean": [1.0, 2.0], "std": [1.0]}, {"mean": [float("nan")], "std": [1.0]}, {"mean": [1.0], "std": [-1.0]}],
)
def test_statistics_that_do_not_fit_the_images_are_refused(statistics: dict[str, list[float]]) -> None:
    with pytest.raises(DataError, match="do not fit 1 channels of grey levels"):
        build(architecture(statistics=statistics))
