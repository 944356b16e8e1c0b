"""A data set is trusted only with its manifest, and its files only with their digests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import DataError, StorageError
from pipeline.storage.manifests import read_manifest
from tests.storage.published import publish


def test_what_was_published_is_read_back(tmp_path: Path) -> None:
    manifest = publish(tmp_path / "set", {"a": b"1", "b": b"22"})
    assert read_manifest(tmp_path / "set") == manifest


@pytest.mark.parametrize("damage", ["flip", "shorten", "remove"])
def test_a_damaged_file_is_not_trusted(tmp_path: Path, damage: str) -> None:
    publish(tmp_path / "set", {"a": b"123"})
    path = tmp_path / "set" / "a"
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(b"124" if damage == "flip" else b"12")
    with pytest.raises(DataError, match="a: "):
        read_manifest(tmp_path / "set")


def test_files_are_left_alone_where_nobody_asks_for_them(tmp_path: Path) -> None:
    manifest = publish(tmp_path / "set", {"a": b"123"})
    (tmp_path / "set" / "a").unlink()
    assert read_manifest(tmp_path / "set", verify=False) == manifest


def test_a_manifest_changed_by_hand_is_not_trusted(tmp_path: Path) -> None:
    publish(tmp_path / "set", {"a": b"123"})
    path = tmp_path / "set" / "manifest.json"
    value = json.loads(path.read_text())
    value["files"][0]["rows"] = 7
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match="digest does not match"):
        read_manifest(tmp_path / "set", verify=False)


def test_a_manifest_without_its_digest_is_not_trusted(tmp_path: Path) -> None:
    publish(tmp_path / "set", {"a": b"123"})
    path = tmp_path / "set" / "manifest.json"
    value = json.loads(path.read_text())
    del value["digest"]
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match="digest does not match"):
        read_manifest(tmp_path / "set", verify=False)


@pytest.mark.parametrize("content", ["[]", '"x"', "{}", "7"])
def test_json_that_is_no_manifest_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json: "):
        read_manifest(tmp_path)


def test_a_set_without_its_manifest_was_never_published(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="never published whole"):
        read_manifest(tmp_path)
