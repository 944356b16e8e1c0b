"""Pictures in class folders: what a path says, what a folder lacks, what is refused before a run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data import file_reading
from pipeline.data.opening import open_source, recognised
from pipeline.data.source_rows import Source
from pipeline.data.sources.image_folder import Settings
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, StorageError, UsageError
from pipeline.recipe.recipe import IngestParams
from pipeline.recipe.slots import Choice
from tests.hostile_tree import picture

CLASSES = ("cats", "dogs")
NOBODY = 65534


def write(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(number))
    return folder


def opened(folder: Path, classes: tuple[str, ...] = CLASSES, **settings: Any) -> Source:
    return open_source(Choice(name="image_folder", settings=settings), folder, Wanted(classes))


def rows(folder: Path, classes: tuple[str, ...] = CLASSES, **settings: Any) -> list[dict[str, Any]]:
    return pa.concat_tables(opened(folder, classes, **settings).tables).to_pylist()


def places(folder: Path, classes: tuple[str, ...] = CLASSES, **settings: Any) -> dict[str, tuple[str, int | None]]:
    return {row["source"]: (row["part"], row["label"]) for row in rows(folder, classes, **settings)}


def test_the_outermost_folder_is_the_class_and_a_loose_picture_is_unlabelled(tmp_path: Path) -> None:
    folder = write(tmp_path, "cats/1.png", "dogs/old/2.png", "3.png", "unlabelled/cats/4.png")
    assert places(folder) == {
        "3.png": ("train", None),
        "cats/1.png": ("train", 0),
        "dogs/old/2.png": ("train", 1),
        "unlabelled/cats/4.png": ("train", None),
    }


def test_folders_of_parts_above_the_classes_are_the_given_split(tmp_path: Path) -> None:
    folder = write(tmp_path, "train/cats/1.png", "Val/dogs/2.png", "test/cats/3.png", "test/4.png", "dogs/5.png")
    assert places(folder) == {
        "Val/dogs/2.png": ("validation", 1),
        "dogs/5.png": ("train", 1),
        "test/4.png": ("test", None),
        "test/cats/3.png": ("test", 0),
        "train/cats/1.png": ("train", 0),
    }
    assert (opened(folder).rows, opened(folder).test_rows) == (5, 2)
    assert places(write(tmp_path / "sets", "test/1.png"), ("test",), parts=False) == {"test/1.png": ("train", 0)}


@pytest.mark.parametrize(("which", "label"), [("outermost", 0), ("innermost", 1), ("path", 2)])
def test_the_settings_say_which_folder_names_the_class(tmp_path: Path, which: str, label: int) -> None:
    folder = write(tmp_path, "train/a/b/1.png")
    assert places(folder, ("a", "b", "a/b"), class_folder=which) == {"train/a/b/1.png": ("train", label)}


def test_a_class_is_known_by_its_name_however_its_accents_are_composed(tmp_path: Path) -> None:
    folder = write(tmp_path, "cafe\N{COMBINING ACUTE ACCENT}/1.png", "0123/2.png")
    assert [row["label"] for row in rows(folder, ("café", "0123"))] == [1, 0]


def test_a_class_folder_that_is_not_declared_has_an_unknown_label_and_its_text(tmp_path: Path) -> None:
    [row] = rows(write(tmp_path, "dog/1.png"))
    assert (row["label"], row["problem"]) == (-1, None)
    assert row["detail"] == "'dog' is none of data.classes (did you mean 'dogs'?)"


def test_an_empty_class_folder_is_an_error_unless_the_recipe_names_it(tmp_path: Path) -> None:
    folder = write(tmp_path, "cats/1.png")
    (folder / "dogs").mkdir()
    (folder / "test").mkdir()
    assert len(rows(folder)) == 1
    (folder / "horses").mkdir()
    with pytest.raises(DataError, match=r"/horses: a class folder without a file; remove it, put pictures into it, or"):
        opened(folder)


def test_an_empty_class_folder_before_others_hides_none_of_them(tmp_path: Path) -> None:
    folder = write(tmp_path, "dogs/1.png", "dogs/2.png")
    (folder / "cats").mkdir()
    assert [row["source"] for row in rows(folder)] == ["dogs/1.png", "dogs/2.png"]
    assert opened(folder).rows == 2


def test_a_folder_with_nothing_in_it_or_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing in it; expected a folder for each class"):
        opened(tmp_path)
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.txt").write_text("a cat")
    with pytest.raises(DataError, match="no file of its 1 is named like a picture"):
        opened(tmp_path)
    with pytest.raises(StorageError, match="does not exist"):
        opened(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="is not a folder"):
        opened(tmp_path / "cats" / "1.txt")


def test_rows_come_sorted_by_the_bytes_of_their_names(tmp_path: Path) -> None:
    folder = write(tmp_path, "cats/10.png", "cats/9.png", "cats/B.png", "cats/a.png", "cats/é.png", "Dogs/1.png")
    names = [row["source"] for row in rows(folder)]
    assert names == sorted(names, key=lambda name: name.encode())


def test_links_to_files_inside_the_folder_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", "cats/1.png")
    (folder / "cats" / "2.png").symlink_to(folder / "cats" / "1.png")
    (tmp_path / "link").symlink_to(folder)
    first, second = rows(tmp_path / "link")
    assert first["image"] == second["image"]
    assert second["problem"] is None


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder in which this process has no more rights than anybody."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        is_root = os.geteuid() == 0
        yield folder
        if is_root and os.geteuid() != 0:
            os.seteuid(0)


def test_what_may_not_be_read_comes_with_its_problem(as_nobody: Path) -> None:
    folder = write(as_nobody, "cats/1.png", "cats/2.png", "dogs/secret/3.png")
    (folder / "cats/2.png").chmod(0)
    (folder / "dogs/secret").chmod(0)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    found = {row["source"]: (row["problem"], row["detail"]) for row in rows(folder)}
    assert found == {
        "cats/1.png": (None, None),
        "cats/2.png": ("cannot be read", "Permission denied"),
        "dogs/secret": ("cannot be read", "Permission denied"),
    }


def test_a_file_that_changes_while_it_is_read_counts_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, "cats/1.png")
    look = os.fstat

    def look_and_write(descriptor: int) -> os.stat_result:
        """Somebody writes to the file right after it was looked at, before it is read."""
        status = look(descriptor)
        os.utime(f"/proc/self/fd/{descriptor}", ns=(status.st_mtime_ns + 1, status.st_mtime_ns + 1))
        return status

    monkeypatch.setattr(file_reading.os, "fstat", look_and_write)
    [row] = rows(folder)
    assert (row["problem"], row["image"]) == ("changed while it was read", None)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path, "cats/1.png")
    with (folder / "cats/2.png").open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    assert [row["problem"] for row in rows(folder)] == [None, "file too large"]


def test_what_other_programs_leave_is_left_alone_and_nothing_else(tmp_path: Path) -> None:
    files = (".DS_Store", "._1.png", ".gitignore", ".dvcignore", "1.png.dvc", "Thumbs.db", "desktop.ini", "LICENSE",
             "LICENSE.txt", "README", "README.md")  # fmt: skip
    folders = (".git", "__MACOSX", "lost+found", ".ipynb_checkpoints")
    left = [*(f"cats/{name}" for name in files), *(f"{name}/1.png" for name in folders)]
    folder = write(tmp_path, *left, "cats/1.png", "cats/READMES", "cats/xdvc", "cats/git.png")
    assert [row["source"] for row in rows(folder)] == ["cats/1.png", "cats/READMES", "cats/git.png", "cats/xdvc"]
    assert len(rows(folder, leave_alone=["x*", "cats"])) == len(left) + 3  # a file's name, and not a folder's
    with pytest.raises(DataError, match=r"no file of its 11 is named|nothing in it"):
        opened(folder, leave_alone=["cats/", ".git/", "__MACOSX/", "lost+found/", ".ipynb_checkpoints/"])


def test_a_folder_of_another_name_may_hold_what_has_no_label(tmp_path: Path) -> None:
    folder = write(tmp_path, "unlabeled/1.png", "new/2.png")
    assert places(folder) == {"new/2.png": ("train", -1), "unlabeled/1.png": ("train", None)}
    assert places(folder, unlabelled=["new"]) == {"new/2.png": ("train", None), "unlabeled/1.png": ("train", -1)}


@pytest.mark.parametrize(("mib", "is_read"), [(1, False), (2, True)])
def test_the_largest_file_is_said_in_mebibytes(tmp_path: Path, mib: int, is_read: bool) -> None:
    folder = write(tmp_path, "cats/1.png")
    (folder / "cats/1.png").write_bytes(picture(1) + bytes(2**20))
    [row] = rows(folder, largest_file_mib=mib)
    assert (row["problem"] is None) == is_read


@pytest.mark.parametrize("settings", [{"largest_file_mib": 0}, {"largest_file_mib": 1025}, {"unlabelled": ["x"] * 101},
                                      {"leave_alone": ["x"] * 1001}])  # fmt: skip
def test_settings_have_bounds(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Settings.model_validate(settings)


def test_it_recognises_class_folders_only(tmp_path: Path) -> None:
    assert recognised(write(tmp_path / "a", "cats/1.png")) == {"image_folder": {}}
    assert recognised(write(tmp_path / "b", "train/cats/1.png")) == {"image_folder": {}}
    assert recognised(write(tmp_path / "c", "1.png", "train/2.png")) == {}
    assert recognised(write(tmp_path / "d", "cats/notes.txt")) == {}
    assert recognised(tmp_path / "c" / "1.png") == {}
    assert recognised(write(tmp_path / "e", "cats/1.JPG", "1.png")) == {"image_folder": {}}


def test_folders_named_by_a_size_hold_the_classes_and_are_none(tmp_path: Path) -> None:
    icons = write(tmp_path / "a", "48x48/apps/1.png", "16x16/apps/1.png", "scalable/apps/1.svg")
    assert recognised(icons) == {"image_folder": {"class_folder": "innermost"}}
    assert recognised(write(tmp_path / "b", "48x48/1.png", "16x16/1.png")) == {"image_folder": {}}
    assert recognised(write(tmp_path / "c", "48/apps/1.png", "16/apps/1.png")) == {"image_folder": {}}


def test_another_format_is_told_what_it_looks_like(tmp_path: Path) -> None:
    folder = write(tmp_path, "cats/1.png")
    with pytest.raises(DataError, match=r"no training files, but \.png files; .*; it looks like data\.source: image"):
        open_source(Choice(name="idx"), folder, Wanted(CLASSES))


DATED = ("2024-01-01", "2024-02-01")


def test_classes_that_are_named_by_date_are_read_where_the_recipe_says_that_they_are_no_snapshots(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path, "2024-01-01/1.png", "2024-02-01/2.png")
    choice = Choice(name="image_folder")
    source = open_source(choice, folder, Wanted(DATED), IngestParams(snapshots=False))
    assert pa.concat_tables(source.tables)["label"].to_pylist() == [0, 1]

    with pytest.raises(UsageError, match=r"'2024-01-01' is a class, and .*ingest\.snapshots: false"):
        open_source(choice, folder, Wanted(DATED))
    with pytest.raises(UsageError, match=r"ingest\.as_of: needs a source with dated snapshots"):
        open_source(choice, folder, Wanted(DATED), IngestParams(snapshots=False, as_of="2024-01-15"))


def test_a_snapshot_with_nothing_in_it_is_told_with_the_way_out(tmp_path: Path) -> None:
    folder = write(tmp_path, "2024-01-01/cats/1.png")
    (folder / "2024-02-01").mkdir()
    with pytest.raises(
        DataError, match=r"2024-02-01: nothing in it.*read as a dated snapshot: ingest\.snapshots: false"
    ):
        opened(folder)


def test_an_empty_folder_of_a_class_that_has_files_elsewhere_is_no_error(tmp_path: Path) -> None:
    folder = write(tmp_path, "horses/1.png", "cats/2.png")
    (folder / "horses" / "new").mkdir()
    (folder / "test" / "horses").mkdir(parents=True)
    assert opened(folder, ()).rows == 2  # as `ratchet init` opens it, which knows no classes yet
