"""Class folders inside of archives: nothing gets out, nothing is believed, nothing is passed over in silence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data.opening import open_source, recognised
from pipeline.data.source_rows import Source
from pipeline.data.sources.archive import Settings
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError
from pipeline.recipe.slots import Choice
from tests.data.given import zip_of
from tests.hostile_tree import picture

CLASSES = ("cats", "dogs")
GOOD = {"cats/1.png": picture(1), "dogs/2.jpg": picture(2, "JPEG"), "test/cats/3.png": picture(3), "4.png": picture(4)}
PLACES = {
    "cats/1.png": ("train", 0),
    "dogs/2.jpg": ("train", 1),
    "test/cats/3.png": ("test", 0),
    "4.png": ("train", None),
}


def tar_of(files: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=kind) as archive:
        for name, each in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return content.getvalue()


KINDS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "a.zip": zip_of,
    "stored.zip": lambda files: zip_of(files, zipfile.ZIP_STORED),
    "bzip2.zip": lambda files: zip_of(files, zipfile.ZIP_BZIP2),
    "a.tar": tar_of,
    "gnu.tar": lambda files: tar_of(files, tarfile.GNU_FORMAT),
    "a.tar.gz": lambda files: gzip.compress(tar_of(files)),
    "a.tgz": lambda files: gzip.compress(tar_of(files)),
    "a.tbz2": lambda files: bz2.compress(tar_of(files)),
    "a.txz": lambda files: lzma.compress(tar_of(files)),
    "a.tar.bz2": lambda files: bz2.compress(tar_of(files)),
    "a.tar.xz": lambda files: lzma.compress(tar_of(files)),
}


def opened(path: Path, **settings: Any) -> Source:
    return open_source(Choice(name="archive", settings=settings), path, Wanted(CLASSES))


def rows(path: Path, **settings: Any) -> list[dict[str, Any]]:
    return pa.concat_tables(opened(path, **settings).tables).to_pylist()


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_members_come_with_their_bytes_and_their_places(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / kind, KINDS[kind](GOOD))
    for source in (path, tmp_path):
        found = rows(source)
        assert {row["source"]: (row["part"], row["label"]) for row in found} == {
            f"{kind}!{name}": place for name, place in PLACES.items()
        }
        assert [row["image"] for row in found] == list(GOOD.values())
        assert {row["problem"] for row in found} == {None}
    assert sorted(each.name for each in tmp_path.iterdir()) == [kind]
    if kind.endswith(".zip"):
        assert (opened(path).rows, opened(path).test_rows) == (4, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_long_and_odd_names_come_through(tmp_path: Path, kind: str) -> None:
    names = ["cats/" + "deep/" * 60 + "1.png", "cats/é 😀.png", "cats/new\nline.png", "cats/" + "l" * 250 + ".png"]
    files = {name: picture(number) for number, name in enumerate(names)}
    found = rows(written(tmp_path / kind, KINDS[kind](files)))
    assert [(row["source"], row["label"], row["image"]) for row in found] == [
        (f"{kind}!{name}", 0, content) for name, content in files.items()
    ]


def test_names_that_are_no_utf_8_are_shown_with_their_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"cats/\xff.png")
    [row] = rows(written(tmp_path / "a.tar", tar_of({name: picture(1)}, tarfile.GNU_FORMAT)))
    assert (row["source"], row["label"]) == ("a.tar!cats/\\xff.png", 0)


def test_the_folders_and_the_name_of_an_archive_count_as_its_members_folders(tmp_path: Path) -> None:
    written(tmp_path / "test.zip", zip_of({"cats/1.png": picture(1)}))
    written(tmp_path / "dogs" / "more.tar", tar_of({"x/2.png": picture(2)}))
    assert {row["source"]: (row["part"], row["label"]) for row in rows(tmp_path)} == {
        "dogs/more.tar!x/2.png": ("train", 1),
        "test.zip!cats/1.png": ("test", 0),
    }


def test_only_what_lies_below_the_named_folder_is_read(tmp_path: Path) -> None:
    files = {"set/train/cats/1.png": picture(1), "set/test/dogs/2.png": picture(2)}
    path = written(tmp_path / "a.zip", zip_of({**files, "other/3.png": picture(3)}))
    found = rows(path, below="set")
    assert [(row["part"], row["label"], row["problem"]) for row in found] == [
        ("train", 0, None),
        ("test", 1, None),
        ("train", None, "outside the folder that is read"),
    ]
    written(tmp_path / "b.tar.gz", gzip.compress(tar_of(files)))
    assert recognised(tmp_path / "b.tar.gz") == {"archive": {"below": "set"}}
    assert recognised(written(tmp_path / "c.zip", zip_of(GOOD))) == {"archive": {}}


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (["cats/1.png", "dogs/1.png"], {}),
        (["a/b/cats/1.png", "a/b/dogs/1.png"], {"below": "a/b"}),
        (["a/cats/1.png", "a/cats/2.png"], {"below": "a"}),  # one folder with pictures is a class
        (["cats/1.png"], {}),
        (["a/train/cats/1.png"], {"below": "a"}),
        (["train/cats/1.png"], {}),
        (["a/1.png", "a/cats/1.png"], {"below": "a"}),
        (["1.png", "a/cats/1.png"], {}),
        ([".DS_Store", "a/cats/1.png", "a/dogs/1.png", "__MACOSX/a/cats/1.png"], {"below": "a"}),
        (["LICENSE"], None),
    ],
)
def test_where_the_classes_stand_is_recognised(
    tmp_path: Path, names: list[str], settings: dict[str, str] | None
) -> None:
    path = written(tmp_path / "a.zip", zip_of(dict.fromkeys(names, picture(1))))
    expected = {} if settings is None else {"archive": settings}
    assert recognised(path) == expected
    if settings:
        assert {row["problem"] for row in rows(path, **settings)} == {None}
    assert recognised(written(tmp_path / "b" / "b.zip", b"PK")) == {}


@pytest.mark.parametrize(("setting", "low", "high"), [("most_members", 1, 10**8), ("largest_total_gib", 1, 16_384),
                                                      ("largest_ratio", 1, 10**6)])  # fmt: skip
def test_settings_have_bounds(setting: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(Settings.model_validate({setting: value}), setting) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=setting):
            Settings.model_validate({setting: value})


def test_limits_are_those_of_the_settings() -> None:
    assert Settings().limits == (1_000_000, 64 * 2**20, 64 * 2**30, 200)


def test_it_looks_below_the_folder_in_which_all_pictures_stand_whatever_stands_beside_it(tmp_path: Path) -> None:
    files = {"usr/doc/copyright": b"free", "usr/icons/cats/1.png": picture(1), "usr/icons/dogs/2.png": picture(2)}
    assert recognised(written(tmp_path / "a.zip", zip_of(files))) == {"archive": {"below": "usr/icons"}}
    sizes = {"icons/48x48/apps/1.png": picture(1), "icons/16x16/apps/2.png": picture(2)}
    found = recognised(written(tmp_path / "b.zip", zip_of(sizes)))
    assert found == {"archive": {"below": "icons", "class_folder": "innermost"}}


def test_a_class_folder_in_which_an_archive_was_left_is_no_folder_of_archives(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    written(tmp_path / "cats" / "old.zip", zip_of(GOOD))
    assert set(recognised(tmp_path)) == {"archive"}
    written(tmp_path / "cats" / "1.png", picture(1))
    assert set(recognised(tmp_path)) == {"image_folder"}


def problems(path: Path, **settings: Any) -> dict[str, str | None]:
    return {row["source"].partition("!")[2]: row["problem"] for row in rows(path, **settings)}


ODD_NAMES = {
    "../cats/out.png": "name leads out",
    "cats/../../out.png": "name leads out",
    "/etc/absolute.png": "name leads out",
    "C:/windows.png": "name leads out",
}


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "gnu.tar", "a.tar.gz"])
def test_names_that_lead_out_and_archives_in_archives_are_problems(tmp_path: Path, kind: str) -> None:
    files = {
        **dict.fromkeys(ODD_NAMES, picture(1)),
        "cats/inner.zip": zip_of(GOOD),
        "cats/inner.png": gzip.compress(b"x"),
        "cats/inner.tar": tar_of(GOOD),
        "cats/empty.png": b"",
        "cats/text.png": b"text",
        "cats/.DS_Store": b"left alone",
        "__MACOSX/cats/1.png": b"left alone",
        "cats/good.png": picture(2),
    }
    assert problems(written(tmp_path / "set" / kind, KINDS[kind](files))) == {
        **ODD_NAMES,
        "cats/inner.zip": "archive inside an archive",
        "cats/inner.png": "archive inside an archive",
        "cats/inner.tar": "archive inside an archive",
        "cats/empty.png": "empty",
        "cats/text.png": "not a picture",
        "cats/good.png": None,
    }
    assert [each.name for each in tmp_path.rglob("*.png")] == []


def test_a_windows_zip_has_its_folders_and_no_way_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", zip_of({"cats\\1.png": picture(1), "..\\..\\2.png": picture(2)}))
    assert problems(path) == {"cats\\1.png": None, "..\\..\\2.png": "name leads out"}
    assert rows(path)[0]["label"] == 0


def test_links_and_devices_in_a_tar_are_problems(tmp_path: Path) -> None:
    content = io.BytesIO()
    kinds = {
        "cats/symbolic.png": tarfile.SYMTYPE,
        "cats/hard.png": tarfile.LNKTYPE,
        "cats/fifo.png": tarfile.FIFOTYPE,
        "cats/device.png": tarfile.CHRTYPE,
        "cats/disk.png": tarfile.BLKTYPE,
        "cats/kind.png": b"S",  # GNU's sparse files
    }
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            info.size = 0 if kind == b"S" else 1000  # which is believed of none of the others
            archive.addfile(info)
        info = tarfile.TarInfo("cats")
        info.type, info.pax_headers = tarfile.DIRTYPE, {"size": "1000"}
        archive.addfile(info)
        info = tarfile.TarInfo("cats/good.png")
        info.size = len(picture(1))
        archive.addfile(info, io.BytesIO(picture(1)))
    assert problems(written(tmp_path / "a.tar", content.getvalue())) == {
        "cats/symbolic.png": "link in an archive",
        "cats/hard.png": "link in an archive",
        "cats/fifo.png": "neither file nor folder",
        "cats/device.png": "neither file nor folder",
        "cats/disk.png": "neither file nor folder",
        "cats/kind.png": "neither file nor folder",
        "cats/good.png": None,
    }


def test_links_and_encrypted_members_of_a_zip_are_problems(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        link = zipfile.ZipInfo("cats/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("cats/secret.png", picture(1))
        archive.writestr("cats/", b"")
    changed = bytearray(content.getvalue())
    place = changed.index(b"PK\x01\x02", changed.index(b"PK\x01\x02") + 1)
    changed[place + 8] |= 1  # the flag of the directory's second entry
    assert problems(written(tmp_path / "a.zip", bytes(changed))) == {
        "cats/link.png": "link in an archive",
        "cats/secret.png": "encrypted",
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_two_members_of_one_name_the_second_is_a_problem(tmp_path: Path, kind: str) -> None:
    content = io.BytesIO()
    names = ("cats/1.png", "cats/1.png", "./cats/1.png")
    if kind == "zip":
        with zipfile.ZipFile(content, "w") as archive:
            for number, name in enumerate(names):
                archive.writestr(name, picture(number))
    else:
        with tarfile.open(fileobj=content, mode="w") as tar:
            for number, name in enumerate(names):
                info = tarfile.TarInfo(name)
                info.size = len(picture(number))
                tar.addfile(info, io.BytesIO(picture(number)))
    found = rows(written(tmp_path / f"a.{kind}", content.getvalue()))
    twice = "name is twice in the archive"
    assert [(row["row"], row["problem"]) for row in found] == [(0, None), (1, twice), (2, twice)]


def test_a_member_with_a_wrong_checksum_is_a_problem(tmp_path: Path) -> None:
    content = bytearray(zip_of({"cats/1.png": picture(1), "cats/2.png": picture(2)}, zipfile.ZIP_STORED))
    content[content.index(picture(1)) + 40] ^= 1
    found = rows(written(tmp_path / "a.zip", bytes(content)))
    assert [row["problem"] for row in found] == ["damaged in the archive", None]
    assert "Bad CRC-32" in found[0]["detail"]


def peak_bytes(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_a_zip_bomb_is_a_problem_and_not_inflated(tmp_path: Path) -> None:
    files = {"cats/1.png": bytes(32 * 2**20), "cats/2.png": bytes(70 * 2**20), "cats/3.png": picture(1)}
    path = written(tmp_path / "a.zip", zip_of(files))
    expected = {"cats/1.png": "unpacks to too much", "cats/2.png": "file too large", "cats/3.png": None}
    assert problems(path) == expected
    assert peak_bytes(lambda: rows(path)) < 4 * 2**20


def test_members_that_share_bytes_are_problems(tmp_path: Path) -> None:
    """Two entries are about one member's bytes: a thousand would unpack to a thousand times as much."""
    content = zip_of({"cats/1.png": picture(1)}, zipfile.ZIP_STORED)
    begin, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    directory = content[begin:end]
    both = directory + directory.replace(b"cats/1.png", b"cats/2.png")
    ending = bytearray(content[end:])
    struct.pack_into("<HHI", ending, 8, 2, 2, len(both))
    path = written(tmp_path / "a.zip", content[:begin] + both + bytes(ending))
    assert problems(path) == {"cats/1.png": None, "cats/2.png": "shares bytes with another member"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("pack", "ending"),
    [(gzip.compress, "gz"), (bz2.compress, "bz2"), (partial(lzma.compress, preset=0), "xz")],
    ids=["gz", "bz2", "xz"],
)
def test_a_tar_bomb_is_an_error_and_not_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes], ending: str) -> None:
    inner = tar_of({"cats/1.png": bytes(72 * 2**20)})
    path = written(tmp_path / f"a.tar.{ending}", pack(inner))
    with pytest.raises(DataError, match="unpacks to more than 200 times its size; if it is to be trusted, raise the"):
        rows(path)

    def refused() -> None:
        with pytest.raises(DataError):
            rows(path)

    assert peak_bytes(refused) < 16 * 2**20
    assert problems(path, largest_ratio=1_000_000) == {"cats/1.png": "file too large"}


def test_limits_on_members_and_on_all_bytes_are_errors(tmp_path: Path) -> None:
    for kind in ("a.zip", "a.tar"):
        path = written(tmp_path / kind, KINDS[kind](GOOD))
        with pytest.raises(DataError, match=r"3 members"):
            rows(path, most_members=3)
        assert len(rows(path, most_members=4)) == 4
    large = zip_of({f"cats/{number}.png": b"" for number in range(2)})
    changed = bytearray(large)
    for number in range(2):
        place = -1
        for _ in range(number + 1):
            place = changed.index(b"PK\x01\x02", place + 1)
        struct.pack_into("<I", changed, place + 24, 2**30)  # the size that the directory declares
    path = written(tmp_path / "large.zip", bytes(changed))
    with pytest.raises(DataError, match=r"2 members that unpack to 2147483648 bytes; at most .* 1073741824 bytes"):
        opened(path, largest_total_gib=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_archive_is_an_error_that_says_to_fetch_it_again(tmp_path: Path, kind: str) -> None:
    content = KINDS[kind]({**GOOD, "cats/large.png": picture(5) + os.urandom(40_000)})
    for share in (0.2, 0.5):
        with pytest.raises(DataError, match="fetch it again"):
            rows(written(tmp_path / kind, content[: int(share * len(content))]))


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive", bytes(600), picture(1), b"\x1f\x8b\x08"])
@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_what_only_has_an_archives_name_is_an_error_before_a_run(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(DataError, match=name):
        opened(written(tmp_path / name, content))


def test_a_name_of_any_length_is_not_read_into_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**33
    path = written(tmp_path / "a.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(DataError, match="a member's name of 8589934592 bytes"):
        rows(path)


def test_what_lies_beside_archives_is_named(tmp_path: Path) -> None:
    written(tmp_path / "a.zip", zip_of(GOOD))
    written(tmp_path / "loose.png", picture(1))
    (tmp_path / "link.zip").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo.zip")
    found = {row["source"]: row["problem"] for row in rows(tmp_path)}
    assert {source: problem for source, problem in found.items() if problem} == {
        "fifo.zip": "neither file nor folder",
        "link.zip": "link out of the folder",
        "loose.png": "beside the archives",
    }
    assert opened(tmp_path).rows == len(found) == 7


def test_a_folder_without_an_archive_and_an_empty_archive_are_errors(tmp_path: Path) -> None:
    written(tmp_path / "cats" / "1.png", picture(1))
    with pytest.raises(DataError, match=r"no archive in it; .* it looks like data\.source: image_folder"):
        opened(tmp_path)
    with pytest.raises(DataError, match="its archive is empty"):
        opened(written(tmp_path / "b" / "a.zip", zip_of({})))


def with_folders(kind: str, *folders: str) -> bytes:
    """Return an archive of good pictures and of these folders, one entry for each."""
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w") as archive:
            for name in folders:
                archive.mkdir(name)
            for name, each in GOOD.items():
                archive.writestr(name, each)
    else:
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name in folders:
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            for name, each in GOOD.items():
                info = tarfile.TarInfo(name)
                info.size = len(each)
                archive.addfile(info, io.BytesIO(each))
    return content.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_empty_class_folder_in_an_archive_is_an_error_unless_the_recipe_names_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(with_folders(kind, "cats", "horses", "horses/new"))
    settings = Choice(name="archive")
    with pytest.raises(DataError, match=rf"a\.{kind}!horses: a class folder without a file; remove it, put files"):
        list(open_source(settings, path, Wanted(CLASSES)).tables)
    assert pa.concat_tables(open_source(settings, path, Wanted((*CLASSES, "horses"))).tables).num_rows == len(GOOD)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_folder_in_an_archive_that_is_of_no_class_or_holds_files_is_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(with_folders(kind, "./", "cats", "cats/new", "test", "test/cats", "__MACOSX", "../horses"))
    assert pa.concat_tables(open_source(Choice(name="archive"), path, Wanted()).tables).num_rows == len(GOOD)
    path.write_bytes(with_folders(kind, "cats", "dogs", "dogs/old"))
    nested = Choice(name="archive", settings={"class_folder": "innermost"})
    with pytest.raises(DataError, match="!dogs/old: a class folder without a file"):
        list(open_source(nested, path, Wanted(CLASSES)).tables)


def test_an_empty_class_folder_of_a_zip_is_told_before_a_row_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(with_folders("zip", "horses"))
    with pytest.raises(DataError, match="horses: a class folder without a file"):
        open_source(Choice(name="archive"), tmp_path / "a.zip", Wanted(CLASSES))
