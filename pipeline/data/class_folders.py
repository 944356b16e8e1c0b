"""What a path says of a picture: its part and its class, by the folders it lies in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

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


def found_settings(steps: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Return the settings that the folders of pictures ask for, by the steps of their paths, below the part.

    Folders that are all named by a size, each holding folders, hold the same classes in several sizes.
    """
    below = list(steps)
    is_by_size = below and all(len(each) > 2 and _SIZE.fullmatch(each[0]) for each in below)
    return {"class_folder": "innermost"} if is_by_size else {}
