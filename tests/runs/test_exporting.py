"""Which version is exported, and on which rows it is proven. What is written: tests/export and tests/system/export."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, UsageError
from pipeline.models import stored
from pipeline.runs import exporting
from pipeline.runs.exporting import export_version, proof_of
from tests.models.made import architecture, column, image
from tests.registry.local_registry import LocalRegistry
from tests.system.prepared import write_images

ROOT = Path(__file__).parents[2]
ONE = architecture(image((4, 4, 1)))
PIXELS = np.arange(40, dtype=np.uint8).repeat(16).reshape(40, 4, 4, 1)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with test rows and training rows of pictures."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    labels = np.zeros(40)
    for part in ("train", "test"):
        write_images(tmp_path / "data/prepared" / part, [f"{part}{number}" for number in range(40)], PIXELS, labels)
    return tmp_path


def test_a_model_is_proven_on_all_test_rows_and_calibrated_on_training_rows(project: Path) -> None:
    proof = proof_of(project, ONE)
    assert not proof.is_made
    np.testing.assert_array_equal(proof.rows["image"], PIXELS)
    assert proof.calibration is not None
    np.testing.assert_array_equal(proof.calibration["image"], PIXELS)


@pytest.mark.parametrize(
    "other",
    [
        architecture(image((5, 4, 1))),
        architecture(image((4, 4, 1), name="photo")),
        architecture(image((4, 4, 1)), column("number", "fare", ["1", "2"])),
        architecture(column("number", "image", ["1", "2"])),
    ],
    ids=["size", "name", "more", "kind"],
)
def test_a_model_of_other_features_is_proven_on_made_rows(project: Path, other: Any) -> None:
    proof = proof_of(project, other)
    assert proof.is_made
    assert proof.calibration is None
    assert set(proof.rows) == {spec.name for spec in other.features}


def test_without_data_rows_are_made(project: Path) -> None:
    shutil.rmtree(project / "data")
    assert proof_of(project, ONE).is_made


@pytest.fixture
def written(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for what fetches and writes; return with what it was called."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(exporting, "fetch", lambda _store, _reader, version, _target: seen.update(version=version))
    monkeypatch.setattr(stored, "read_architecture", lambda _: ONE)
    monkeypatch.setattr(exporting, "write_served", lambda *_, **more: seen.update(more))
    return seen


@pytest.mark.parametrize(
    ("which", "number"), [("", 2), ("pets", 2), ("pets@champion", 2), ("pets@1", 1), ("pets@v1", 1), ("@1", 1)]
)
def test_a_version_is_named_by_number_or_alias_and_is_the_champion_if_not(
    project: Path, written: dict[str, Any], which: str, number: int
) -> None:
    local = LocalRegistry(project)
    local.add(1, "sha256:0a")
    local.add(2, "sha256:0b", aliases=["champion"], tags={"ratchet.unit": "min", "ratchet.threshold": "0.375"})
    export_version(project, local.store, which, project / "served", ["onnx"], "pets", nullcontext)
    assert (written["name"], written["version"]) == ("pets", number)
    assert written["formats"] == ["onnx"]
    assert (written["unit"], written["threshold"]) == (("min", 0.375) if number == 2 else ("", None))


@pytest.mark.parametrize("which", ["pets@7", "pets@", "cats", "pets@challenger"])
def test_an_unknown_version_is_refused(project: Path, written: dict[str, Any], which: str) -> None:
    local = LocalRegistry(project)
    local.add(1, "sha256:0a", aliases=["champion"])
    with pytest.raises(UsageError):
        export_version(project, local.store, which, project / "served", [], "pets")
    assert written == {}


def test_a_version_whose_bytes_are_not_its_own_is_not_exported(project: Path) -> None:
    local = LocalRegistry(project)
    local.add(1, "", aliases=["champion"])
    with pytest.raises(DataError, match="was not registered by Ratchet"):
        export_version(project, local.store, "", project / "served", [], "pets")
    assert not (project / "served").exists()


def test_a_folder_that_holds_something_else_is_refused_before_the_registry_is_asked(project: Path) -> None:
    with pytest.raises(UsageError, match="holds something else"):
        export_version(project, None, "", project / "data", [], "pets")  # type: ignore[arg-type]
