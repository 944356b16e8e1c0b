"""What a path says of a picture: its part and its class, by the folders it lies in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import DataError, nearest

# The folders above the classes that are a given split, in small letters.
PART_FOLDERS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip

_SIZE = re.compile(r"\d{1,4}x\d{1,4}(@\dx?)?")  # 48x48, as the folders of icons are called


class Place(NamedTuple):
    """The part of a picture, and the text of its class: None where it lies in no class folder."""

    part: str
    label: str | None


def place_of(name: str, class_folder: str, unlabelled: tuple[str, ...], *, has_parts: bool) -> Place:
    """Return the part and the class of a file by its `/`-separated path.

    `class_folder` says which of the folders below the part names the class: `outermost`, `innermost`, or `path`, all of
    them. A folder named in `unlabelled` holds pictures of no class, whatever lies in it.
    """
    folders = name.split("/")[:-1]  # of an empty folder's path, which ends in /, itself too
    part = PART_FOLDERS.get(folders[0].lower()) if has_parts and folders else None
    within = folders[1:] if part else folders
    if not within or within[0] in unlabelled:
        return Place(part or "train", None)
    label = {"outermost": within[0], "innermost": within[-1], "path": "/".join(within)}[class_folder]
    return Place(part or "train", label)


class EmptyFolders:
    """Folders without a file in or below them, by the class that each would be of."""

    def __init__(self) -> None:
        self._holding: set[str] = set()  # folders that a file lies below
        self._classes: set[str] = set()  # that have a file
        self._folders: dict[str, str] = {}

    def saw_file(self, name: str, label: str | None) -> None:
        """Note a file, by its `/`-separated path."""
        while (name := name.rpartition("/")[0]) and name not in self._holding:
            self._holding.add(name)
        if label is not None:
            self._classes.add(label)

    def saw_folder(self, name: str, label: str | None) -> None:
        """Note a folder, of which it is not known whether a file lies in it."""
        if label is not None:
            self._folders[name] = label

    def require_declared(self, where: Path, classes: Collection[str]) -> None:
        """Refuse a class without a file that the recipe does not name: of one that it names, clean says so."""
        for name, label in self._folders.items():
            if name not in self._holding and label not in self._classes and label not in classes:
                raise DataError(
                    f"{where}/{name}: a class folder without a file; remove it, put files into it, or name it in "
                    f"data.classes{nearest(label, classes)}"
                )


def found_settings(steps: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Return the settings that the folders of pictures ask for, by the steps of their paths, below the part.

    Folders that are all named by a size, each holding folders, hold the same classes in several sizes.
    """
    below = list(steps)
    is_by_size = below and all(len(each) > 2 and _SIZE.fullmatch(each[0]) for each in below)
    return {"class_folder": "innermost"} if is_by_size else {}
