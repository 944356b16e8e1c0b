"""An artifact is published whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import DataError, StorageError
from pipeline.records.digests import digest_bytes
from pipeline.storage import artifacts
from tests.storage.published import publish


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """A disk that takes no more of a file than so much."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, list[str]]]:
    """What is made durable, in its order, each with what stands in the folder by then."""
    found: list[tuple[str, list[str]]] = []

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen = sorted(entry.name for entry in tmp_path.iterdir())
        found.append((path.relative_to(tmp_path).as_posix(), seen))

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_too_in_the_end(
    tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    artifacts.write_file(tmp_path / "x", b"1")
    aside = f".x.partial-{os.getpid()}"
    assert synced == [(aside, [aside]), (".", ["x"])]


def test_what_is_made_durable_is_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    artifacts.write_file(tmp_path / "x", b"123")
    assert sizes[0] == 3


def test_a_folder_is_on_the_disk_with_all_that_is_in_it_before_it_has_its_name(
    tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    with artifacts.published_folder(tmp_path / "set") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "b").write_bytes(b"1")
        (folder / "a").write_bytes(b"2")
    aside = [f".set.partial{below}" for below in ("/deep/b", "/deep", "/a", "")]
    assert synced == [*((path, [".set.partial"]) for path in aside), (".", ["set"])]


def test_a_disk_that_is_full_leaves_the_file_of_before_and_nothing_beside_it(tmp_path: Path) -> None:
    artifacts.write_file(tmp_path / "x", b"before")
    with files_of_at_most(4096), pytest.raises(StorageError, match="x: cannot be written: File too large"):
        artifacts.write_file(tmp_path / "x", b"1" * 9000)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"before"


def test_a_disk_that_is_full_leaves_the_folder_of_before_and_nothing_beside_it(tmp_path: Path) -> None:
    publish(tmp_path / "set", {"a": b"1"})
    with (
        files_of_at_most(4096),
        pytest.raises(StorageError, match="set: cannot be written: File too large"),
        artifacts.published_folder(tmp_path / "set") as folder,
    ):
        (folder / "a").write_bytes(b"2" * 9000)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert (tmp_path / "set" / "a").read_bytes() == b"1"


def test_a_published_folder_stands_alone(tmp_path: Path) -> None:
    publish(tmp_path / "set", {"a": b"1"})
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


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"x\.json: cannot be written"):
        artifacts.write_json(tmp_path / "file" / "x.json", {})


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="set: cannot be written"), artifacts.published_folder(tmp_path / "file/set"):
        pass


def test_nan_never_gets_into_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "x.json", {"accuracy": float("nan")})
    assert not list(tmp_path.iterdir())


def test_json_is_read_back_in_its_order(tmp_path: Path) -> None:
    artifacts.write_json(tmp_path / "x.json", {"b": ["ä", 1], "a": None})
    assert list(artifacts.read_json(tmp_path / "x.json").items()) == [("b", ["ä", 1]), ("a", None)]


def test_what_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"a": \xff}')
    with pytest.raises(DataError, match=r"x\.json: not valid JSON"):
        artifacts.read_json(tmp_path / "x.json")


def test_json_larger_than_ratchet_writes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1, 2, 3]")
    with pytest.raises(DataError, match="larger than 8 bytes"):
        artifacts.read_json(tmp_path / "x.json", limit_bytes=8)


@pytest.mark.parametrize("read", [artifacts.read_json, artifacts.read_text], ids=["JSON", "text"])
def test_a_file_that_is_not_there_is_an_input_output_error(tmp_path: Path, read: Callable[..., object]) -> None:
    with pytest.raises(StorageError, match="x: cannot be read: No such file"):
        read(tmp_path / "x")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff")
    with pytest.raises(DataError, match="x: not UTF-8 text"):
        artifacts.read_text(tmp_path / "x")


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert artifacts.digest_file(tmp_path / "x") == digest_bytes(b"abc")


@pytest.mark.parametrize(
    ("content", "why"), [("[" * 100_000, "recursion"), ('{"a": 1, "a": 2}', "key 'a' appears twice")]
)
def test_json_that_has_two_meanings_or_none_is_refused(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=why):
        artifacts.read_json(tmp_path / "x.json")
