"""Pictures in class folders (see `image_folder`) inside zip and tar archives: nothing is unpacked onto a disk.

`data.path` is an archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz), or a folder of some. What stands above a member
counts as its folders: those that the archive lies in, and the archive's own name where that is train, validation or
test. So `test.zip!cats/1.png` is a picture of class cats of the test part.

Every member that is no folder is a row. One with a name that leads out of the archive, a link, one that is encrypted,
a second one of the same name, an archive, one that is damaged, too large, or that unpacks to too much comes with its
problem. A folder of a class that the recipe does not name, without any file, is an error; so is an archive that is
damaged, or breaks a limit, as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.data.sources.image_folder import Settings as FolderSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.data.archive_members import Limits, Member
    from pipeline.data.class_folders import EmptyFolders
    from pipeline.data.entries import Entry
    from pipeline.data.source_rows import Source
    from pipeline.data.walking import Found
    from pipeline.data.wanted import Wanted

FEATURES = {"image": "image"}
READS_A_FILE = True

_LOOKED_AT = 1000  # members, to tell where the classes stand


class Settings(FolderSettings):
    """Its settings in the recipe."""

    below: str = Field(
        default="",
        max_length=4096,
        description="folder inside of the archives in which the parts or classes stand; empty: at the top",
    )
    most_members: int = Field(default=1_000_000, ge=1, le=100_000_000, description="members that an archive may have")
    largest_total_gib: int = Field(default=64, ge=1, le=16_384, description="GiB that an archive may unpack to")
    largest_ratio: int = Field(
        default=200, ge=1, le=1_000_000, description="how many times its size a member of over 1 MiB may unpack to"
    )

    @property
    def limits(self) -> Limits:
        """What an archive may hold."""
        from pipeline.data.archive_members import Limits

        return Limits(self.most_members, self.largest_file_bytes, self.largest_total_gib * 2**30, self.largest_ratio)


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Look through the archives' directories, where they have one; members are read when the tables are iterated."""
    from pipeline.data.archive_members import zip_names
    from pipeline.data.class_folders import EmptyFolders
    from pipeline.data.entries import tables
    from pipeline.data.source_rows import NothingThere, Source

    rows: int | None = 0
    test_rows: int | None = 0
    archives = 0
    empty = EmptyFolders()
    for found in _files(settings, folder):
        if not _is_archive(found):
            rows = None if rows is None else rows + 1
            continue
        archives += 1
        names = zip_names(found.path, _where(folder, found), settings.limits)
        if names is None or rows is None or test_rows is None:
            rows = test_rows = None
            continue
        kept = [name for name in names if not _is_left_alone(settings, name)]
        for name in kept:
            _note(empty, settings, found, name)
        kept = [name for name in kept if not name.endswith("/")]
        rows += len(kept)
        test_rows += sum(_place(settings, found, name)[0] == "test" for name in kept)
    if not archives:
        raise NothingThere(f"{folder}: no archive in it; expected .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz")
    if rows == 0:
        raise NothingThere(f"{folder}: its archive is empty; expected a folder for each class, with pictures")
    if rows is not None:  # every archive has a directory: what is missing is known before any work
        empty.require_declared(folder, set(wanted.classes))
    return Source(rows=rows, tables=tables(_entries(settings, folder, wanted.classes)), test_rows=test_rows)


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which an archive, or a folder of some, is read; None if a path is neither.

    A folder in it that holds an archive and pictures side by side is a class folder, in which an archive was left.
    Where all pictures stand in one folder that holds several, that folder is the one `below` which to look.
    """
    from itertools import islice

    from pipeline.data.archive_members import members
    from pipeline.data.class_folders import PART_FOLDERS, found_settings
    from pipeline.data.picture_headers import ENDINGS
    from pipeline.errors import DataError

    settings = Settings()
    try:
        files = list(_files(settings, path))
        archives = [found for found in files if _is_archive(found)]
        if _are_left_among_pictures(archives, files):
            return None
        looked_at = islice(members(archives[0].path, str(path), settings.limits), _LOOKED_AT) if archives else ()
        kept = [member.name for member in looked_at if not (member.is_folder or _is_left_alone(settings, member.name))]
    except (DataError, OSError):
        return None
    pictures = [name for name in kept if name.lower().endswith(ENDINGS)]
    names = [name.split("/") for name in pictures or kept]
    below: list[str] = []
    while True:
        depth = len(below)
        tops = {parts[depth] for parts in names if len(parts) > depth + 1}
        if len(tops) != 1 or tops <= PART_FOLDERS.keys() or any(len(parts) == depth + 1 for parts in names):
            break
        below += tops
    holds_classes = any(len(parts) > len(below) + 1 for parts in names)
    above = below if holds_classes else below[:-1]
    found = found_settings(parts[len(above) :] for parts in names if len(parts) > len(above) + 1)
    return {**({"below": "/".join(above)} if above else {}), **found} if names else None


def _files(settings: Settings, folder: Path) -> Iterator[Found]:
    from pipeline.data.walking import Found, walk

    if folder.is_dir():
        yield from (found for found in walk(folder, settings.is_left_alone) if not found.is_empty_folder)
    else:
        yield Found(folder.name, str(folder.resolve()))


def _are_left_among_pictures(archives: list[Found], files: list[Found]) -> bool:
    from pipeline.data.picture_headers import ENDINGS

    folders = {found.name.rpartition("/")[0] for found in archives} - {""}
    return any(found.name.rpartition("/")[0] in folders and found.name.lower().endswith(ENDINGS) for found in files)


def _is_archive(found: Found) -> bool:
    from pipeline.data.archive_members import ENDINGS

    return not found.problem and found.name.lower().endswith(ENDINGS)


def _where(folder: Path, found: Found) -> str:
    from pipeline.data.walking import shown_name

    return f"{folder}/{shown_name(found.name)}" if folder.is_dir() else str(folder)


def _is_left_alone(settings: Settings, name: str) -> bool:
    *folders, last = name.split("/")
    return settings.is_left_alone(last, False) or any(settings.is_left_alone(each, True) for each in folders)


def _is_outside(settings: Settings, name: str) -> bool:
    return bool(settings.below) and not name.startswith(f"{settings.below.strip('/')}/")


def _place(settings: Settings, found: Found, name: str) -> tuple[str, str | None]:
    """Return part and class of a member, by its plain name."""
    from pipeline.data.class_folders import PART_FOLDERS, place_of
    from pipeline.data.walking import shown_name

    above, _, archive = found.name.rpartition("/")
    stem = archive.split(".")[0]
    folders = [*([above] if above else []), *([stem] if stem.lower() in PART_FOLDERS and settings.parts else [])]
    if _is_outside(settings, name):
        return "train", None
    inside = name.removeprefix(f"{settings.below.strip('/')}/") if settings.below else name
    whole = "/".join([*folders, inside])
    return place_of(shown_name(whole), settings.class_folder, settings.unlabelled, has_parts=settings.parts)


def _entries(settings: Settings, folder: Path, classes: tuple[str, ...]) -> Iterator[Entry]:
    from pipeline.data.archive_members import members
    from pipeline.data.class_folders import EmptyFolders
    from pipeline.data.entries import UNLABELLED, Entry, labels_of
    from pipeline.data.problems import NOT_AN_ARCHIVE

    label_of = labels_of(classes)
    empty = EmptyFolders()
    for found in _files(settings, folder):
        if found.problem:
            yield Entry(found.name, "train", UNLABELLED, None, found.problem, found.detail)
        elif not _is_archive(found):
            detail = "source archive reads archives only; source image_folder reads pictures"
            yield Entry(found.name, "train", UNLABELLED, None, NOT_AN_ARCHIVE, detail)
        else:
            for member in members(found.path, _where(folder, found), settings.limits):
                if _is_left_alone(settings, member.name):
                    continue
                _note(empty, settings, found, member.name)
                if not member.is_folder:
                    part, text = _place(settings, found, member.name)
                    label = UNLABELLED if text is None else label_of(text)
                    yield _entry(settings, f"{found.name}!{member.spelt}", part, label, member)
    empty.require_declared(folder, set(classes))


def _note(empty: EmptyFolders, settings: Settings, found: Found, name: str) -> None:
    """Note a member, by its plain name: a folder's ends in `/`."""
    from pipeline.data.walking import shown_name

    _, label = _place(settings, found, name)
    noted = shown_name(f"{found.name}!{name}")
    if name.endswith("/"):
        empty.saw_folder(noted.rstrip("/"), label)
    else:
        empty.saw_file(noted, label)


def _entry(settings: Settings, name: str, part: str, label: Any, member: Member) -> Entry:
    from pipeline.data.entries import Entry, picture_entry
    from pipeline.data.problems import OUTSIDE

    if _is_outside(settings, member.name):
        detail = f"not in data.source.settings.below, {settings.below!r:.200}"
        return Entry(name, part, label, None, OUTSIDE, detail, member.number)
    return picture_entry(name, part, label, member.content, member.number)
