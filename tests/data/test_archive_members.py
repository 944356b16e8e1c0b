"""What an archive begins with, and which members of a zip are taken at their word."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.data.archive_members import ENDINGS, Limits, archive_kind, members, zip_names
from pipeline.errors import DataError
from tests.data.given import zip_of

LIMITS = Limits(10, 3 * 2**20, 2**23, 2)


def tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zip_of({"a": b"a"}), "zip"),
        (zip_of({}), "zip"),
        (tar(), "tar"),
        (gzip.compress(b"a"), "gzip"),
        (bz2.compress(b"a"), "bzip2"),
        (lzma.compress(b"a"), "xz"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07\x01", "rar"),
        (b"text", None),
        (b"", None),
    ],
)
def test_an_archive_is_known_by_what_it_begins_with(content: bytes, kind: str | None) -> None:
    assert archive_kind(content) == kind


def test_the_endings_are_those_that_python_unpacks() -> None:
    import shutil

    of_python = {ending for _, endings, _ in shutil.get_unpack_formats() for ending in endings}
    assert {*ENDINGS} >= of_python - {".tzst", ".tar.zst"}
    assert {*ENDINGS} - of_python <= {".tgz", ".tbz2", ".txz"}


def fates(path: Path, limits: Limits = LIMITS) -> dict[str, str | None]:
    return {
        each.spelt: None if isinstance(each.content, bytes) else f"{each.content[0]}: {each.content[1]}"
        for each in members(str(path), "here", limits)
    }


def test_a_small_member_may_unpack_to_any_ratio_and_a_large_one_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"small": bytes(2**20), "large": bytes(2**20 + 1), "huge": bytes(3 * 2**20 + 1)}))
    found = fates(path)
    assert found["small"] is None
    assert str(found["large"]).startswith("unpacks to too much: 1048577 bytes of ")
    assert str(found["large"]).endswith(", at most 2 times as many are read")
    assert found["huge"] == "file too large: 3145729 bytes, at most 3145728 are read"
    path.write_bytes(zip_of({"stored": bytes(3 * 2**20)}, zipfile.ZIP_STORED))
    assert fates(path, LIMITS._replace(ratio=1)) == {"stored": None}


def test_a_method_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a": b"a"}, zipfile.ZIP_LZMA))
    [said] = fates(path).values()
    assert said == "damaged in the archive: compressed by method 14; stored, deflated and bzip2 are read"


def test_limits_hold_to_the_member_and_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a": bytes(100), "b": bytes(100), "c/": b""}))
    assert zip_names(str(path), "here", LIMITS._replace(members=3, total_bytes=200)) == ["a", "b", "c/"]
    for limits in (LIMITS._replace(members=2), LIMITS._replace(total_bytes=199)):
        with pytest.raises(DataError, match=r"here: 3 members that unpack to 200 bytes; at most"):
            zip_names(str(path), "here", limits)
    long = {f"{number:0250}": b"" for number in range(3)}
    path.write_bytes(zip_of(long))
    with pytest.raises(DataError, match=r"here: its directory of \d+ bytes has room for more than 3 members"):
        zip_names(str(path), "here", LIMITS._replace(members=3))


def test_an_archive_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a": b"a", "b": b"b"}))
    found = members(str(path), "here", LIMITS)
    next(found)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="here: changed while it was read; run again when it is whole"):
        list(found)


def declared(content: bytes, size: int) -> bytes:
    """Return a zip of one stored member as one of bzip2, which declares to unpack to `size` bytes."""
    changed = bytearray(content)
    local, directory = content.index(b"PK\x03\x04"), content.index(b"PK\x01\x02")
    for place in (local + 8, directory + 10):
        changed[place : place + 2] = struct.pack("<H", zipfile.ZIP_BZIP2)
    for place in (local + 22, directory + 24):
        changed[place : place + 4] = struct.pack("<I", size)
    return bytes(changed)


def test_no_more_of_bzip2_is_unpacked_than_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, came_out = tmp_path / "a.zip", []

    class Unpacking:
        def __init__(self) -> None:
            self._real = decompressor()

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def decompress(self, data: bytes, max_length: int = -1) -> bytes:
            came_out.append(len(piece := self._real.decompress(data, max_length)))
            return piece

    decompressor = bz2.BZ2Decompressor
    monkeypatch.setattr(bz2, "BZ2Decompressor", Unpacking)
    path.write_bytes(declared(zip_of({"a": bz2.compress(bytes(10**7))}, zipfile.ZIP_STORED), 1000))
    assert fates(path) == {"a": "damaged in the archive: 1001 bytes, 1000 are declared"}
    assert sum(came_out) == 1001


def test_bzip2_is_unpacked_as_it_was_packed_and_its_checksum_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    noise = random.Random(0).randbytes(300_000)
    path.write_bytes(zip_of({"none": b"", "one": b"a", "many": noise}, zipfile.ZIP_BZIP2))
    assert [each.content for each in members(str(path), "here", LIMITS)] == [b"", b"a", noise]
    path.write_bytes(declared(zip_of({"a": bz2.compress(b"abc")}, zipfile.ZIP_STORED), 3))
    assert fates(path) == {"a": "damaged in the archive: its checksum is wrong"}
    path.write_bytes(declared(zip_of({"a": bz2.compress(noise)[:-100]}, zipfile.ZIP_STORED), len(noise)))
    assert "bytes, 300000 are declared" in str(fates(path)["a"])


@pytest.mark.parametrize("name", ["cats/\0/1.png", "\0x/1.png", "cats/1.png\0"])
def test_a_zero_byte_hides_no_member_of_a_zip(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    plain = name.replace("\0", "#")
    path.write_bytes(zip_of({plain: b"a", "b": b"b"}).replace(plain.encode(), name.encode()))
    assert zip_names(str(path), "here", LIMITS) == [name, "b"]
    assert fates(path) == {name: "name leads out: None", "b": None}


def test_a_folder_of_a_zip_that_has_content_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"cats/1.png/": b"a", "dogs/": b""}))
    assert zip_names(str(path), "here", LIMITS) == ["cats/1.png", "dogs/"]
    assert [(each.name, each.content) for each in members(str(path), "here", LIMITS)] == [
        ("cats/1.png", ("neither file nor folder", None)),
        ("dogs/", b""),
    ]


def tar_of(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, each in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return content.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("zeros", [0, 512, 10_240, 300_000])
def test_a_tar_that_is_appended_to_another_is_read_too(
    tmp_path: Path, pack: Callable[[bytes], bytes], zeros: int
) -> None:
    path = tmp_path / "a.tar"
    first, second = tar_of({"a": b"a"}), tar_of({"b": b"b"})
    between = bytes(zeros // 512 * 512) if pack is bytes else bytes(zeros)
    path.write_bytes(pack(first) + between + pack(second) + bytes(100))
    assert fates(path) == {"a": None, "b": None}


def test_what_comes_after_a_tar_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    for rest in (b"more", b"more" * 128):
        path.write_bytes(tar_of({"a": b"a"}) + rest)
        with pytest.raises(DataError, match="here: what comes after its end is no archive; fetch it again"):
            fates(path)


def test_a_sparse_member_of_a_tar_is_named_and_what_follows_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    further, last = bytearray(512), bytes(512)
    further[504] = 1
    path.write_bytes(bytes(header + further) + last + b"x" * 512 + tar_of({"b": b"b"}))
    assert fates(path) == {"sparse": "neither file nor folder: None", "b": None}
