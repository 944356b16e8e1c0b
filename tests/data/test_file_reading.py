"""A file is read whole and as it is, or it is said why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.data.file_reading import open_stream, read_required, read_whole
from pipeline.errors import DataError, StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    return path


def test_a_file_as_large_as_the_limit_is_read_and_a_larger_one_is_not(file: Path) -> None:
    assert read_whole(str(file), 5) == b"12345"
    assert read_whole(str(file), 4) == ("file too large", "5 bytes, at most 4 are read")


def test_an_empty_file_a_fifo_a_link_and_nothing_are_told_apart(file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(file)
    assert read_whole(str(tmp_path / "empty"), 5) == ("empty", None)
    assert read_whole(str(tmp_path / "fifo"), 5) == ("neither file nor folder", None)
    assert read_whole(str(tmp_path / "link"), 5) == ("cannot be read", "Too many levels of symbolic links")
    assert read_whole(str(tmp_path / "none"), 5) == ("cannot be read", "No such file or directory")


@pytest.mark.parametrize(("content", "after"), [(b"1234567", 7), (b"123", 3), (b"", 0)])
def test_a_file_that_grows_or_shrinks_while_it_is_read_counts_for_none(
    file: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, after: int
) -> None:
    look = os.fstat
    looks = []

    def look_and_write(descriptor: int) -> os.stat_result:
        status = look(descriptor)
        if not looks:
            file.write_bytes(content)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        looks.append(status)
        return status

    monkeypatch.setattr(os, "fstat", look_and_write)
    assert read_whole(str(file), 9) == ("changed while it was read", f"it had 5 bytes before, {after} after")


def test_a_file_that_is_said_to_be_needed_is_read_through_a_link_or_is_an_error(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    assert read_required(str(tmp_path / "link"), "names", 5) == b"12345"
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match=r"/empty: names: empty$"):
        read_required(str(tmp_path / "empty"), "names", 5)
    with pytest.raises(DataError, match=r"/link: names: file too large: 5 bytes, at most 4 are read$"):
        read_required(str(tmp_path / "link"), "names", 4)


def test_a_stream_is_of_a_regular_file_perhaps_behind_a_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    with open_stream(str(tmp_path / "link")) as stream:
        assert stream.read() == b"12345"
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DataError, match="/fifo: no regular file"):
        open_stream(str(tmp_path / "fifo"))
    with pytest.raises(StorageError, match="/none: cannot be read: No such file or directory"):
        open_stream(str(tmp_path / "none"))
