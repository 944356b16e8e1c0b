"""A digest is taken once, and never believed of a file that may have changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StorageError
from pipeline.runs import hashes
from pipeline.runs.hashes import HASHES, Hashes, md5_of, md5_of_bytes
from pipeline.runs.photograph import walk
from tests.runs.given import rewrite_in_place

MINUTE_S = 60.0


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read to take their digest, by name, in the order of their names."""
    files: list[str] = []

    def noted(path: str) -> str:
        files.append(Path(path).name)
        return md5_of(path)

    monkeypatch.setattr(hashes, "md5_of", noted)
    return files


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass since all files were written."""
    now_ns = time.time_ns()
    monkeypatch.setattr(hashes, "time", SimpleNamespace(time_ns=lambda: now_ns + int(MINUTE_S * 1e9)))


def look(root: Path) -> dict[str, str]:
    """Take, or know, the digests of a folder's files, as one run after another does."""
    known = Hashes(root)
    files = list(walk(root, "files"))
    digests = known.of(files)
    known.keep()
    return {file.name.removeprefix("files/"): digest for file, digest in zip(files, digests, strict=True)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    for name in ("a", "b"):
        (tmp_path / "files" / name).write_text(name)
    return tmp_path


@given(st.binary(max_size=5_000_000))
def test_a_digest_is_md5s(content: bytes) -> None:
    assert md5_of_bytes(content) == hashlib.md5(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**21 + 1])
def test_a_file_of_any_length_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert md5_of(str(tmp_path / "file")) == hashlib.md5(content).hexdigest()


def test_a_digest_is_taken_once(root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch)
    assert look(root) == look(root) == {"a": md5_of_bytes(b"a"), "b": md5_of_bytes(b"b")}
    assert sorted(read) == ["a", "b"]


def test_only_what_has_changed_is_read_again(root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch)
    look(root)
    read.clear()
    (root / "files" / "b").write_text("another")
    assert look(root)["b"] == md5_of_bytes(b"another")
    assert read == ["b"]


@pytest.mark.parametrize("keeps_mtime", [True, False])
def test_a_change_of_the_same_size_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch, keeps_mtime: bool) -> None:
    later(monkeypatch)
    look(root)
    rewrite_in_place(root / "files" / "a", b"x", keeps_mtime=keeps_mtime)  # then only the time of change tells
    assert look(root)["a"] == md5_of_bytes(b"x")


def test_a_file_put_in_the_place_of_another_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch)
    look(root)
    before = (root / "files" / "a").stat()
    (root / "aside").write_text("x")
    os.utime(root / "aside", ns=(before.st_atime_ns, before.st_mtime_ns))
    (root / "aside").replace(root / "files" / "a")
    assert look(root)["a"] == md5_of_bytes(b"x")


def test_what_was_written_a_moment_ago_is_not_remembered(root: Path, read: list[str]) -> None:
    # It may be written again within the same tick of the file system's clock, and nothing would tell.
    look(root)
    look(root)
    assert sorted(read) == ["a", "a", "b", "b"]


def test_a_change_that_no_time_tells_is_seen_in_a_file_written_a_moment_ago(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes.Found, "identity", property(lambda _: ["the same"]))
    look(root)
    (root / "files" / "a").write_text("x")
    assert look(root)["a"] == md5_of_bytes(b"x")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"a": 1', b"\xff"])
def test_a_memory_that_cannot_be_read_is_none(root: Path, content: bytes) -> None:
    (root / HASHES).parent.mkdir()
    (root / HASHES).write_bytes(content)
    assert look(root)["a"] == md5_of_bytes(b"a")


@pytest.mark.parametrize("entry", [None, "x", [], ["x"], {}])
def test_an_entry_of_another_form_is_no_memory(root: Path, entry: object) -> None:
    (root / HASHES).parent.mkdir()
    (root / HASHES).write_text(json.dumps({str(root / "files" / "a"): entry}))
    assert look(root)["a"] == md5_of_bytes(b"a")


def test_what_was_not_asked_for_this_time_is_kept_up_to_a_number(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch)
    look(root)
    (root / "files").rename(root / "others")
    (root / "files").mkdir()
    (root / "files" / "c").write_text("c")
    look(root)
    assert len(json.loads((root / HASHES).read_text())) == 3
    monkeypatch.setattr(hashes, "_KEPT", 1)
    (root / "files" / "d").write_text("d")
    look(root)
    assert sorted(Path(path).name for path in json.loads((root / HASHES).read_text())) == ["a", "c", "d"]


def test_what_is_read_is_announced_in_bytes_and_what_is_known_is_not(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch)
    (root / "files" / "b").write_text("1234567")
    for expected in (8, 0):
        announced: list[int] = []
        known = Hashes(root, announced.append)
        known.of(walk(root, "files"))
        known.keep()
        assert sum(announced) == expected


def test_a_file_that_cannot_be_read_is_named_in_one_line() -> None:
    with pytest.raises(StorageError, match=r"^/proc/self/mem: cannot be read: Input/output error$"):
        md5_of("/proc/self/mem")
