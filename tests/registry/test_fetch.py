"""A version's bytes are trusted only when they have its digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import DataError, StorageError
from pipeline.models import stored
from pipeline.records.architecture import MODEL_FILES
from pipeline.registry.fetch import digest_of, fetch
from pipeline.registry.versions import Version
from tests.registry.local_registry import LocalRegistry


def registered(registry: LocalRegistry, location: str, digest: str) -> Version:
    registry.add(1, digest, location=location)
    found = registry.reader.version("pets", 1)
    assert found is not None
    return found


def fetched(registry: LocalRegistry, version: Version, target: Path) -> Path:
    fetch(registry.store, registry.reader, version, target)
    return target


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_model_comes_back_as_it_was_registered(
    registry: LocalRegistry, model: Path, tmp_path: Path, scheme: str
) -> None:
    version = registered(registry, f"{scheme}{model}", stored.digest(model))
    target = fetched(registry, version, tmp_path / "target")
    assert sorted(path.name for path in target.iterdir()) == sorted(MODEL_FILES)
    assert stored.digest(target) == version.digest


def test_a_location_that_holds_another_model_is_not_believed(
    registry: LocalRegistry, model: Path, tmp_path: Path
) -> None:
    version = registered(registry, str(model), "sha256:other")
    with pytest.raises(DataError, match="pets v1 is damaged: its files no longer have the digest"):
        fetched(registry, version, tmp_path / "target")


def test_a_damaged_file_is_refused(registry: LocalRegistry, model: Path, tmp_path: Path) -> None:
    version = registered(registry, str(model), stored.digest(model))
    (model / stored.WEIGHTS_FILE).write_bytes(b"damaged")
    with pytest.raises(DataError, match="pets v1 is damaged"):
        fetched(registry, version, tmp_path / "target")


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_file_that_is_gone_is_named_without_a_path(
    registry: LocalRegistry, model: Path, tmp_path: Path, name: str
) -> None:
    version = registered(registry, str(model), stored.digest(model))
    (model / name).unlink()
    with pytest.raises(DataError) as raised:
        fetched(registry, version, tmp_path / "target")
    assert str(raised.value) == f"pets v1 is damaged: {name} is no longer in the registry"


def test_a_version_that_ratchet_did_not_register_is_not_trusted(
    registry: LocalRegistry, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="pets v1 was not registered by Ratchet"):
        fetched(registry, registered(registry, str(model), ""), tmp_path / "target")


def test_a_file_that_cannot_be_read_is_a_fault_of_the_storage(
    registry: LocalRegistry, model: Path, tmp_path: Path
) -> None:
    version = registered(registry, str(model), stored.digest(model))
    (model / stored.WEIGHTS_FILE).unlink()
    (model / stored.WEIGHTS_FILE).mkdir()
    with pytest.raises(StorageError, match=r"weights\.safetensors cannot be read"):
        fetched(registry, version, tmp_path / "target")


def test_what_is_no_whole_model_has_no_digest(model: Path, tmp_path: Path) -> None:
    (model / stored.WEIGHTS_FILE).unlink()
    assert digest_of(model) == digest_of(tmp_path / "nowhere") == ""
