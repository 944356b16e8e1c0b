"""The files of a table that lies in a folder: which they are, in which order, and that each of them can be read."""

from __future__ import annotations

import fnmatch
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from pipeline.data.file_reading import open_stream
from pipeline.data.source_rows import NothingThere
from pipeline.data.sources.image_folder import Files
from pipeline.data.walking import shown_name, walk
from pipeline.errors import DataError, StorageError

_FILES = Files()
_LOOKED_AT = 1000  # entries, to tell what a folder is


class TableFile(NamedTuple):
    """One file: its name relative to the source's folder, and what to open."""

    name: str
    path: Path


def table_files(folder: Path, patterns: Sequence[str]) -> list[TableFile]:
    """Return the files below a folder, or the one file, whose names are like one of the patterns, sorted.

    Raises NothingThere if there is none, DataError if one leads out of the folder, or is no file.
    """
    if not folder.is_dir():
        return [TableFile(folder.name, folder)]
    found = []
    for each in walk(folder, _FILES.is_left_alone):
        if each.is_empty_folder or not _is_one(each.name, patterns):
            continue
        name = shown_name(each.name)
        if each.problem:
            raise DataError(f"{folder}/{name}: {each.problem}{f': {each.detail}' if each.detail else ''}; remove it")
        found.append(TableFile(name, Path(each.path)))
    if not found:
        raise NothingThere(f"{folder}: no file in it is named like {' or '.join(patterns)}")
    return found


def are_most_files(path: Path, patterns: Sequence[str]) -> bool:
    """Return whether more than half of the files that a folder holds, or the one file, are named like a pattern."""
    if not path.is_dir():
        return _is_one(path.name, patterns)
    files = [each for each in islice(walk(path, _FILES.is_left_alone), _LOOKED_AT) if not each.is_empty_folder]
    return 2 * sum(_is_one(each.name, patterns) for each in files) > len(files)


@contextmanager
def opened(file: TableFile) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if its name ends in .gz; raise DataError if what is packed is damaged."""
    with open_stream(str(file.path)) as stream:
        try:
            if not file.name.lower().endswith(".gz"):
                yield stream
                return
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield cast(BinaryIO, unpacked)
        except EOFError as error:
            raise DataError(f"{file.path}: its gzip stream ends too soon; fetch the file again") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{file.path}: its gzip stream is damaged: {error}; fetch the file again") from error
        except OSError as error:
            raise StorageError(f"{file.path}: cannot be read: {error.strerror}") from error


def _is_one(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.rpartition("/")[2].lower(), each.lower()) for each in patterns)
