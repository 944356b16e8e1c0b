"""A folder of documents, one file each, one folder for each class: spelt, and walked, as `image_folder`'s.

    mails/spam/1.txt            class spam
    mails/test/ham/2.txt        class ham, of the test part: train/, validation/ and test/ are a given split
    mails/3.txt                 in no class folder: unlabelled, as is what lies in `unlabelled/`

    {name: text_folder, settings: {encoding: latin-1}}

Every file is a row, whatever its name ends in, and its text is all that it holds, byte order mark left out. One that is
empty, not in the encoding, holds a NUL character, or cannot be read comes with its problem.
"""

from __future__ import annotations

import codecs
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from pipeline.data.sources.image_folder import Settings as FolderSettings
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from pipeline.data.entries import Label
    from pipeline.data.file_reading import Problem
    from pipeline.data.source_rows import Source
    from pipeline.data.walking import Found
    from pipeline.data.wanted import Wanted
    from pipeline.recipe.recipe import Recipe

FEATURES = {"text": "text"}

_OTHERS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml")  # text, and no documents
_LOOKED_AT = 1000  # entries, to tell what a folder is
_FIRST_BYTES = 2**14  # of each that are looked at
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\b\x1b")  # bytes that no document has


class Settings(FolderSettings):
    """Its settings in the recipe."""

    encoding: Literal["utf-8", "latin-1", "cp1252"] = Field(
        default="utf-8", description="how the files spell characters as bytes"
    )


class _Document(NamedTuple):
    """One row to be: `text` is None with a problem."""

    name: str
    part: str
    label: Label
    text: str | None
    problem: str | None
    detail: str | None


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Look through a folder of class folders; its files are read when the tables are iterated."""
    from pipeline.data.class_folders import EmptyFolders
    from pipeline.data.source_rows import NothingThere, Source
    from pipeline.data.walking import shown_name

    rows = test_rows = 0
    empty = EmptyFolders()
    for found in settings.found_in(folder):
        part, label = settings.place_of(found)
        if found.is_empty_folder:
            empty.saw_folder(shown_name(found.name), label)
            continue
        empty.saw_file(shown_name(found.name), label)
        rows += 1
        test_rows += part == "test"
    if not rows:
        raise NothingThere(f"{folder}: nothing in it; expected a folder for each class, with documents")
    empty.require_declared(folder, set(wanted.classes))
    return Source(rows=rows, tables=_tables(_documents(settings, folder, wanted.classes)), test_rows=test_rows)


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as all are asked
    """Raise UsageError for a target or a role that needs a column, of which documents have none."""
    roles = recipe.data.roles
    if roles.id or roles.group or roles.time or roles.weight or roles.slices:
        raise UsageError("data.roles: text_folder has no columns that could have a role; leave data.roles out")
    if not recipe.data.classes:
        raise UsageError("data.classes: is empty, and text_folder's folders are classes: a number stands in a table")


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which a folder of class folders is read, None if a path holds no documents in any.

    More than half of the files that are looked at have to be text, of no other format that is text, too.
    """
    from itertools import islice

    from pipeline.data.class_folders import PART_FOLDERS

    if not path.is_dir():
        return None
    settings = Settings()
    files = [each for each in islice(settings.found_in(path), _LOOKED_AT) if not each.is_empty_folder]
    encodings = {each.name: _looks_encoded(each) for each in files}
    steps = [each.split("/") for each, encoding in encodings.items() if encoding]
    below = [each[1:] if each[0].lower() in PART_FOLDERS else each for each in steps]
    if 2 * len(steps) <= len(files) or not any(len(each) > 1 for each in below):
        return None
    counts = Counter(encodings.values())
    return {"encoding": "latin-1"} if counts["latin-1"] > counts["utf-8"] else {}


def _looks_encoded(found: Found) -> str | None:
    """Return in which encoding a file looks like a document: ascii, utf-8, latin-1; None if it does not."""
    from pipeline.data.file_reading import open_stream

    if found.problem or found.name.lower().endswith(_OTHERS):
        return None
    with open_stream(found.path) as file:
        content = file.read(_FIRST_BYTES)
    if not content or not _CONTROLS.isdisjoint(content):
        return None
    if content.isascii():
        return "ascii"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=len(content) < _FIRST_BYTES)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _documents(settings: Settings, folder: Path, classes: tuple[str, ...]) -> Iterator[_Document]:
    from pipeline.data.entries import UNLABELLED, labels_of
    from pipeline.data.file_reading import read_whole

    label_of = labels_of(classes)
    for found in settings.found_in(folder):
        if found.is_empty_folder:
            continue
        part, text = settings.place_of(found)
        label = UNLABELLED if text is None else label_of(text)
        if found.problem:
            yield _Document(found.name, part, label, None, found.problem, found.detail)
            continue
        read = read_whole(found.path, settings.largest_file_bytes)
        decoded = _decoded(read, settings.encoding) if isinstance(read, bytes) else read
        if isinstance(decoded, str):
            yield _Document(found.name, part, label, decoded, None, None)
        else:
            yield _Document(found.name, part, label, None, *decoded)


def _decoded(content: bytes, encoding: str) -> str | Problem:
    from pipeline.data.problems import BAD_BYTES, HOLDS_NUL

    if b"\0" in content:
        return HOLDS_NUL, f"byte {content.index(0) + 1}"
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return BAD_BYTES, f"byte {error.start + 1} is 0x{content[error.start]:02x}, which is not {encoding}"


def _tables(documents: Iterable[_Document]) -> Iterator[pa.Table]:
    """Yield the rows of documents, as many at a time as make a shard."""
    from pipeline.data.source_rows import BYTES_PER_SHARD, ROWS_PER_SHARD

    gathered: list[_Document] = []
    characters = 0
    for document in documents:
        gathered.append(document)
        characters += len(document.text or "")
        if len(gathered) == ROWS_PER_SHARD or characters >= BYTES_PER_SHARD:
            yield _table(gathered)
            gathered, characters = [], 0
    if gathered:
        yield _table(gathered)


def _table(documents: list[_Document]) -> pa.Table:
    import pyarrow as pa

    from pipeline.data.walking import shown_name

    def column(values: Iterable[str | None]) -> pa.Array:
        return pa.array(list(values), pa.string())

    return pa.table(
        {
            "label": pa.array([each.label.number for each in documents], pa.int32()),
            "part": column(each.part for each in documents),
            "source": column(shown_name(each.name) for each in documents),
            "row": pa.array([0] * len(documents), pa.int64()),
            "problem": column(each.problem for each in documents),
            "detail": column(each.detail or each.label.detail for each in documents),
            "text": column(each.text for each in documents),
        }
    )
