"""Files of text, plain or packed: read to their end, or the error says which file and why."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pipeline.data.delimited_files import Bounds, opened
from pipeline.errors import DataError, StorageError

BOUNDS = Bounds(3_000_000, "largest_total_gib", 200)


def read(path: Path, bounds: Bounds = BOUNDS) -> bytes:
    with opened(path, path.name, bounds) as stream:
        return b"".join(iter(lambda: stream.read(1000), b""))


def test_packed_and_plain_files_hold_the_same(tmp_path: Path) -> None:
    content = os.urandom(10_001)
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))
    (tmp_path / "packed.csv").write_bytes(gzip.compress(content))
    assert read(tmp_path / "a.csv") == read(tmp_path / "a.csv.gz") == read(tmp_path / "packed.csv") == content


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv.gz", gzip.compress(os.urandom(9000))[:-100], "its gzip is damaged"),
        ("a.csv.gz", gzip.compress(b"a" * 9000)[:-8] + b"\1" * 8, "its gzip is damaged"),
        ("a.csv.gz", gzip.compress(b"a" * 9000) + b"rubbish", "its gzip is damaged"),
        ("a.csv.gz", b"a,b\n1,2\n", "is called .gz and is no gzip"),
        ("a.csv", b"a" * 3_000_001, "raise largest_total_gib"),
        ("a.csv.gz", gzip.compress(b"a" * 2_000_000), "unpacks to more than 200 times its size"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"^{name}: .*{said}"):
        read(tmp_path / name)


def test_a_small_file_may_swell(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a" * 1_000_000))
    assert len(read(tmp_path / "a.csv.gz")) == 1_000_000


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match="no regular file"):
        read(tmp_path / "a.csv")
    with pytest.raises(StorageError, match="cannot be read"):
        read(tmp_path / "b.csv")
