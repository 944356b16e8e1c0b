"""An artifact is published whole or not at all, and trusted only with its digests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, StorageError
from pipeline.records.digests import digest_bytes, digest_json
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage import artifacts
from pipeline.storage.manifests import read_manifest, write_manifest


def publish(target: Path, files: dict[str, bytes]) -> Manifest:
    with artifacts.published_folder(target) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        entries = tuple(FileEntry(name, 1, len(content), digest_bytes(content)) for name, content in files.items())
        manifest = Manifest(len(files), entries, {"x": "int"})
        write_manifest(folder, manifest)
    return manifest


def test_what_was_published_is_read_back(tmp_path: Path) -> None:
    manifest = publish(tmp_path / "set", {"a": b"1", "b": b"22"})
    assert read_manifest(tmp_path / "set") == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_failure_inside_leaves_what_was_there_before(tmp_path: Path) -> None:
    publish(tmp_path / "set", {"a": b"1"})
    with pytest.raises(RuntimeError), artifacts.published_folder(tmp_path / "set") as folder:
        (folder / "a").write_bytes(b"2")
        raise RuntimeError
    assert (tmp_path / "set" / "a").read_bytes() == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_next_publication_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    (tmp_path / ".set.partial").mkdir()
    (tmp_path / ".set.partial" / "half").write_bytes(b"x")
    publish(tmp_path / "set", {"a": b"1"})
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["a", "manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


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


def test_a_manifest_changed_by_hand_is_not_trusted(tmp_path: Path) -> None:
    publish(tmp_path / "set", {"a": b"123"})
    path = tmp_path / "set" / "manifest.json"
    value = json.loads(path.read_text())
    value["files"][0]["rows"] = 7
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match="digest does not match"):
        read_manifest(tmp_path / "set")


def test_a_set_without_its_manifest_was_never_published(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(StorageError, match="never published whole"):
        read_manifest(tmp_path / "set")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        artifacts.write_json(tmp_path / "file" / "x.json", {})
    with pytest.raises(StorageError, match="cannot be written"), artifacts.published_folder(tmp_path / "file" / "set"):
        pass


def test_nan_never_gets_into_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "x.json", {"accuracy": float("nan")})
    assert not list(tmp_path.iterdir())


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_the_digest_of_a_value_does_not_depend_on_the_order_of_its_keys(value: dict[str, object]) -> None:
    assert digest_json(value) == digest_json(dict(reversed(value.items())))
