"""A walk tells of every entry once, in one order, whatever its name."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.walking import shown_name, walk
from pipeline.errors import StorageError

NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: not {0, ord("/")} & {*name} and name not in (b".", b"..")
)


def nothing(name: str, is_folder: bool) -> bool:
    return False


@given(st.sets(NAMES, max_size=8), st.sets(NAMES, max_size=4))
def test_every_file_is_found_once_sorted_by_its_bytes(files: set[bytes], folders: set[bytes]) -> None:
    with tempfile.TemporaryDirectory() as top:
        root = os.fsencode(top)
        for folder in folders - files:
            Path(os.fsdecode(root + b"/" + folder)).mkdir()
            Path(os.fsdecode(root + b"/" + folder + b"/inside")).touch()
        for file in files:
            Path(os.fsdecode(root + b"/" + file)).touch()
        found = [os.fsencode(each.name) for each in walk(Path(top), nothing)]
    assert found == [name + b"/inside" if name in folders - files else name for name in sorted(files | folders)]


@given(st.binary(max_size=40))
def test_any_name_is_shown_as_text_that_utf_8_can_hold(name: bytes) -> None:
    shown = shown_name(os.fsdecode(name))
    shown.encode()
    assert shown == name.decode("utf-8", "backslashreplace")


def test_a_name_of_a_lone_surrogate_is_shown_too() -> None:
    assert shown_name("\ud800.png") == "\\ud800.png"


def test_what_is_left_alone_is_not_looked_into(tmp_path: Path) -> None:
    for name in ("kept/1", "left/2", "3", "4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = walk(tmp_path, lambda name, is_folder: name == ("left" if is_folder else "4"))
    assert [each.name for each in found] == ["3", "kept/1"]


def test_a_folder_with_nothing_in_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert [(each.name, each.is_empty_folder) for each in walk(tmp_path, nothing)] == [("a/b", True)]


def test_folders_in_folders_as_deep_as_a_path_can_be_are_walked(tmp_path: Path) -> None:
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(60):
            Path("f" * 100).mkdir()
            os.chdir("f" * 100)
        Path("file").touch()
    finally:
        os.chdir(here)
    [found] = walk(tmp_path, nothing)
    assert (found.problem, found.detail) == ("cannot be read", "File name too long")


def test_what_is_neither_file_nor_folder_is_told_by_its_kind_and_so_is_what_leads_to_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "server"))
        found = {each.name: (each.problem, each.detail) for each in walk(tmp_path, nothing)}
    [device] = walk(Path("/dev"), lambda name, _: name != "null")
    assert {**found, device.name: (device.problem, device.detail)} == {
        "fifo": ("neither file nor folder", "it is a FIFO"),
        "link": ("neither file nor folder", "it leads to a FIFO"),
        "server": ("neither file nor folder", "it is a socket"),
        "null": ("neither file nor folder", "it is a device"),
    }


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="/none: cannot be listed: No such file or directory; make it readable"):
        list(walk(tmp_path / "none", nothing))
