"""Walks a source's folder: every entry in it, in one order, without ever leaving it. Nothing is opened.

What is neither a file nor a folder, and links that lead out of the folder, to a folder or nowhere, come with their
problem, as does a folder that cannot be listed. So a walk always ends, and what it passes over is named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.data.problems import BROKEN_LINK, LINK_OUT, LINK_TO_FOLDER, NOT_A_FILE, UNREADABLE
from pipeline.errors import StorageError

_KINDS = {
    stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


class Found(NamedTuple):
    """One entry: a file, or a folder with nothing in it, or what cannot be used.

    `name` is its path relative to the folder, `/`-separated, as the system spells it (bytes that are not UTF-8 as
    surrogates); `path` is what to open: of a link, where it leads.
    """

    name: str
    path: str
    problem: str | None = None
    detail: str | None = None
    is_empty_folder: bool = False


def shown_name(name: str) -> str:
    r"""Return a name as text: its bytes that are not UTF-8 as `\xff`, other surrogates as `\ud800`."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def walk(folder: Path, is_left_alone: Callable[[str, bool], bool]) -> Iterator[Found]:
    """Yield what stands in a folder and below, sorted by the bytes of each name.

    `is_left_alone` is asked for an entry's name, without its folders, and whether it is a folder. Raises StorageError
    if the folder itself cannot be listed.
    """
    root = os.path.realpath(folder)
    try:
        waiting = _children(root, "", is_left_alone)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}; make it readable") from error
    while waiting:
        name, entry = waiting.pop()
        try:
            if entry.is_symlink():
                yield _link(name, entry.path, root)
            elif entry.is_dir():
                children = _children(entry.path, f"{name}/", is_left_alone)
                if not children:
                    yield Found(name, entry.path, is_empty_folder=True)
                waiting += children
            elif entry.is_file():
                yield Found(name, entry.path)
            else:
                kind = _KINDS.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode), "no file")
                yield Found(name, entry.path, NOT_A_FILE, f"it is {kind}")
        except OSError as error:
            yield Found(name, entry.path, UNREADABLE, error.strerror)


def _children(path: str, above: str, is_left_alone: Callable[[str, bool], bool]) -> list[tuple[str, os.DirEntry[str]]]:
    """Return a folder's entries, the last first."""
    with os.scandir(path) as entries:
        kept = [each for each in entries if not is_left_alone(each.name, each.is_dir(follow_symlinks=False))]
    kept.sort(key=lambda entry: os.fsencode(entry.name), reverse=True)
    return [(f"{above}{entry.name}", entry) for entry in kept]


def _link(name: str, path: str, root: str) -> Found:
    """Return where a link leads: only a file inside the folder can be used."""
    try:
        target = os.path.realpath(path, strict=True)
        mode = os.lstat(target).st_mode
    except OSError as error:
        return Found(name, path, BROKEN_LINK, error.strerror)
    if os.path.commonpath([root, target]) != root:
        return Found(name, path, LINK_OUT, "only links to files inside the folder are followed")
    if stat.S_ISDIR(mode):
        return Found(name, path, LINK_TO_FOLDER, "its files are read where they are")
    if not stat.S_ISREG(mode):
        return Found(name, path, NOT_A_FILE, f"it leads to {_KINDS.get(stat.S_IFMT(mode), 'no file')}")
    return Found(name, target)
