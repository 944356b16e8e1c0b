"""What an archive begins with, and which members of a zip are taken at their word."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.data.archive_members import ENDINGS, Limits, archive_kind, members, zip_names
from pipeline.errors import DataError

LIMITS = Limits(10, 3 * 2**20, 2**23, 2)


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return content.getvalue()


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
