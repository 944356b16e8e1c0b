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


def test_json_is_written_for_people_in_the_given_order_with_a_newline_at_the_end() -> None:
    assert artifacts.dump_json({"b": ["ä"], "a": None}) == '{\n  "b": [\n    "ä"\n  ],\n  "a": null\n}\n'.encode()


def test_a_json_file_may_be_exactly_as_large_as_the_limit_and_a_manifest_64_mib(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1, 2]")
    assert artifacts.read_json(tmp_path / "x.json", limit_bytes=6) == [1, 2]
    with (tmp_path / "x.json").open("r+b") as stream:
        stream.truncate(64 * 2**20 + 1)
    with pytest.raises(DataError, match="larger than 67108864 bytes"):
        artifacts.read_json(tmp_path / "x.json")
    with (tmp_path / "x.json").open("r+b") as stream:
        stream.truncate(64 * 2**20)
    with pytest.raises(DataError, match="not valid JSON"):
        artifacts.read_json(tmp_path / "x.json")


def test_a_file_that_may_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(DataError, match=r"x\.json: no regular file, so it may never end; remove it"):
        artifacts.read_json(tmp_path / "x.json")


def test_a_folder_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: Is a directory"):
        artifacts.read_json(tmp_path)


def test_the_key_that_appears_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"once": 1, "twice": 1, "three": {"a": 1}, "twice": 2}')
    with pytest.raises(DataError, match="key 'twice' appears twice"):
        artifacts.read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"a": {"a": 1}}')
    assert artifacts.read_json(tmp_path / "x.json") == {"a": {"a": 1}}


def test_a_file_gets_the_folders_above_it_and_replaces_what_was_there(tmp_path: Path) -> None:
    for content in (b"1", b"22"):
        artifacts.write_file(tmp_path / "deep" / "deeper" / "x", content)
        assert (tmp_path / "deep" / "deeper" / "x").read_bytes() == content


def test_text_is_read_in_utf_8_wherever(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("ä".encode())
    assert artifacts.read_text(tmp_path / "x") == "ä"


def test_a_folder_that_is_published_replaces_the_one_of_before(tmp_path: Path) -> None:
    publish(tmp_path / "deep" / "set", {"a": b"1"})
    publish(tmp_path / "deep" / "set", {"b": b"2"})
    assert sorted(path.name for path in (tmp_path / "deep" / "set").iterdir()) == ["b", "manifest.json"]


def test_a_block_that_has_removed_its_own_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="set: cannot be written: No such file or directory"),
        artifacts.published_folder(tmp_path / "set") as folder,
    ):
        folder.rmdir()
    assert list(tmp_path.iterdir()) == []


def test_what_the_block_raises_is_raised_even_if_its_folder_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KeyError), artifacts.published_folder(tmp_path / "set") as folder:
        folder.rmdir()
        raise KeyError


def test_an_error_without_a_reason_of_the_system_s_is_given_in_its_own_words(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="set: cannot be written: odd"),
        artifacts.published_folder(tmp_path / "set"),
    ):
        raise OSError("odd")


@pytest.mark.parametrize(("blocks", "is_full"), [(255, True), (256, False), (0, True)])
def test_a_disk_is_full_below_one_mib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, is_full: bool
) -> None:
    disk = os.statvfs(tmp_path)
    here = os.statvfs_result((4096, 4096, 10**9, 10**9, blocks, *tuple(disk)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda folder: here)
    assert artifacts.is_disk_full(tmp_path) is is_full


def test_what_is_published_leaves_no_file_open(tmp_path: Path) -> None:
    before = list(Path("/proc/self/fd").iterdir())
    for number in range(3):
        artifacts.write_file(tmp_path / "x", b"1")
        publish(tmp_path / "set", {f"{number}": b"1"})
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
