"""What a path says of a picture: its part and its class, by the folders it lies in."""

from __future__ import annotations

from typing import NamedTuple

# The folders above the classes that are a given split, in small letters.
PART_FOLDERS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


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
