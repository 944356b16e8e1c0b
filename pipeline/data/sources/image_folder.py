"""A folder of pictures, one folder for each class: PNG, JPEG, WebP, BMP, TIFF and GIF, of any size and mode.

    photographs/cats/1.jpg              class cats
    photographs/cats/indoors/2.png      class cats: a class may have folders
    photographs/test/cats/3.jpg         class cats, of the test part: train/, validation/ and test/ are a given split
    photographs/4.jpg                   in no class folder: unlabelled, as is what lies in `unlabelled/`

Every file is a row, whatever it holds: what is no picture, cannot be read, changes while it is read, or is a FIFO, a
socket, a device, or a link that leads out of the folder, comes with its problem. Files are read as they are: nothing is
decoded. A class folder that the recipe does not name has an unknown label; one without any file is an error.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.data.entries import Entry
    from pipeline.data.source_rows import Source
    from pipeline.data.walking import Found
    from pipeline.data.wanted import Wanted

FEATURES = {"image": "image"}

# What other programs leave in a folder. A name that ends in / is a folder's.
_LEFT_ALONE = (
    ".DS_Store", "._*", ".git*", ".git/", ".dvc*", "*.dvc", "Thumbs.db", "desktop.ini", "__MACOSX/", "lost+found/",
    ".ipynb_checkpoints/", "LICENSE", "LICENSE.*", "README", "README.*",
)  # fmt: skip
_LOOKED_AT = 1000  # entries, to tell what a folder is


@cache
def _pattern(patterns: tuple[str, ...], of_folders: bool) -> re.Pattern[str]:
    """Return one expression for the patterns of files or of folders."""
    chosen = [translate(each.rstrip("/")) for each in patterns if each.endswith("/") == of_folders]
    return re.compile("|".join(chosen) or r"(?!)")


class Files(Base):
    """Which files of a folder are part of the data."""

    leave_alone: tuple[str, ...] = Field(
        default=_LEFT_ALONE,
        strict=False,
        max_length=1000,
        description="names of files, with * and ?, that are no part of the data; with / at their end, of folders",
    )
    largest_file_mib: int = Field(default=64, ge=1, le=1024, description="largest file that is read, MiB")

    @property
    def largest_file_bytes(self) -> int:
        """The size of the largest file that is read."""
        return self.largest_file_mib * 2**20

    def is_left_alone(self, name: str, is_folder: bool) -> bool:
        """Return whether a name, without its folders, is one of `leave_alone`."""
        return _pattern(self.leave_alone, is_folder).match(name) is not None


class Settings(Files):
    """Its settings in the recipe."""

    class_folder: Literal["outermost", "innermost", "path"] = Field(
        default="outermost",
        description="which folder names the class: the outermost below the part, the innermost, or all of them, as "
        "in cats/indoors",
    )
    parts: bool = Field(
        default=True,
        description="folders train, validation and test above the classes are the given split; false: they are classes",
    )
    unlabelled: tuple[str, ...] = Field(
        default=("unlabelled", "unlabeled"),
        strict=False,
        max_length=100,
        description="folders, beside those of classes, whose pictures have no label",
    )

    def found_in(self, folder: Path) -> Iterator[Found]:
        """Yield what a folder holds, what is to be left alone aside."""
        from pipeline.data.walking import walk

        return walk(folder, self.is_left_alone)

    def place_of(self, found: Found) -> tuple[str, str | None]:
        """Return the part and the label that a file's folders, or an empty folder, say; None for unlabelled."""
        from pipeline.data.class_folders import place_of
        from pipeline.data.walking import shown_name

        name = f"{found.name}/" if found.is_empty_folder else found.name
        return place_of(shown_name(name), self.class_folder, self.unlabelled, has_parts=self.parts)


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Look through a folder of class folders; its files are read when the tables are iterated."""
    from pipeline.data.class_folders import EmptyFolders
    from pipeline.data.entries import tables
    from pipeline.data.source_rows import NothingThere, Source
    from pipeline.data.walking import shown_name

    rows = test_rows = pictures = 0
    empty = EmptyFolders()
    for found in settings.found_in(folder):
        part, label = settings.place_of(found)
        if found.is_empty_folder:
            empty.saw_folder(shown_name(found.name), label)
            continue
        empty.saw_file(shown_name(found.name), label)
        rows += 1
        test_rows += part == "test"
        pictures += _is_named_like_a_picture(found.name)
    if not rows:
        raise NothingThere(f"{folder}: nothing in it; expected a folder for each class, with pictures")
    if not pictures:
        raise NothingThere(f"{folder}: no file of its {rows} is named like a picture (.png, .jpg …)")
    empty.require_declared(folder, set(wanted.classes))
    return Source(rows=rows, tables=tables(_entries(settings, folder, wanted.classes)), test_rows=test_rows)


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which a folder of class folders is read, None if a path is none."""
    from itertools import islice

    from pipeline.data.class_folders import PART_FOLDERS, found_settings
    from pipeline.data.walking import walk

    if not path.is_dir():
        return None
    settings = Settings()
    names = [found.name for found in islice(walk(path, settings.is_left_alone), _LOOKED_AT)]
    names = [name for name in names if _is_named_like_a_picture(name) and "/" in name]
    below = [name.split("/")[1:] if name.split("/")[0].lower() in PART_FOLDERS else name.split("/") for name in names]
    return found_settings(below) if any(len(parts) > 1 for parts in below) else None


def _entries(settings: Settings, folder: Path, classes: tuple[str, ...]) -> Iterator[Entry]:
    from pipeline.data.entries import UNLABELLED, Entry, labels_of, picture_entry
    from pipeline.data.file_reading import read_whole

    label_of = labels_of(classes)
    for found in settings.found_in(folder):
        if found.is_empty_folder:
            continue
        part, text = settings.place_of(found)
        label = UNLABELLED if text is None else label_of(text)
        if found.problem:
            yield Entry(found.name, part, label, None, found.problem, found.detail)
        else:
            yield picture_entry(found.name, part, label, read_whole(found.path, settings.largest_file_bytes))


def _is_named_like_a_picture(name: str) -> bool:
    from pipeline.data.picture_headers import ENDINGS

    return name.lower().endswith(ENDINGS)
