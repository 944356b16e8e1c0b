"""Pictures of a folder, and what annotation files say of them, brought together: each has one annotation at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from pipeline.data.annotation_files import Annotation, reduced
from pipeline.data.class_folders import PART_FOLDERS
from pipeline.data.entries import UNLABELLED, Entry, Label, picture_entry
from pipeline.data.file_reading import read_whole
from pipeline.data.problems import BAD_ANNOTATION, NAME_LEADS_OUT, NAMED_TWICE, NOT_THERE
from pipeline.data.walking import Found, shown_name


class Named(NamedTuple):
    """An annotation, where it stands, its part, and the path that it names: None if it names none in the folder."""

    annotation: Annotation
    file: str
    part: str
    path: str | None


def named(annotation: Annotation, file: str, part: str, images: str) -> Named:
    """Return an annotation of a file and part with the path that it names, relative to the source's folder.

    `images` is the folder, `/`-separated, in which the annotation looks for its pictures.
    """
    name = annotation.name
    steps = PurePosixPath(name).parts
    if name and (name.startswith("/") or ".." in steps or "\0" in name or not steps):
        problem = (NAME_LEADS_OUT, f"it names {name!r:.200}")
        return Named(annotation._replace(problem=problem), file, part, None)
    if annotation.part is not None:
        given = PART_FOLDERS.get(annotation.part.lower())
        if given is None:
            problem = (BAD_ANNOTATION, f"part {annotation.part!r:.100} is none of train, validation, test")
            annotation = annotation._replace(problem=annotation.problem or problem)
        part = given or part
    return Named(annotation, file, part, str(PurePosixPath(images) / name) if name else None)


def by_path(all_named: Iterable[Named]) -> dict[str, list[Named]]:
    """Return the annotations of each path that is named."""
    found: dict[str, list[Named]] = {}
    for each in all_named:
        if each.path is not None:
            found.setdefault(each.path, []).append(each)
    return found


def entries(
    files: Iterable[Found],
    all_named: Iterable[Named],
    part_of: Callable[[str], str],
    label_of: Callable[[str], Label],
    several: str,
    largest_bytes: int,
) -> Iterator[Entry]:
    """Yield an entry for each file, then one for each annotation that has none.

    A file that no annotation names is unlabelled, of the part that `part_of` says of its path.
    """
    all_named = list(all_named)
    annotated = by_path(all_named)
    there: set[str] = set()
    for found in files:
        its = annotated.get(found.name, [])
        if its:
            there.add(found.name)
        part = its[0].part if its else part_of(found.name)
        if found.problem:
            label = _label(its[0], several, label_of)[0] if its else UNLABELLED
            yield Entry(found.name, part, label, None, found.problem, found.detail)
        elif len(its) > 1:
            detail = ", ".join(f"{each.file}: {each.annotation.row}" for each in its)[:200]
            yield Entry(found.name, part, UNLABELLED, None, NAMED_TWICE, detail)
        else:
            label, problem = _label(its[0], several, label_of) if its else (UNLABELLED, None)
            read = problem or read_whole(found.path, largest_bytes)
            yield picture_entry(found.name, part, label, read)
    for each in all_named:
        if each.path not in there:
            yield _without_file(each)


def _label(each: Named, several: str, label_of: Callable[[str], Label]) -> tuple[Label, tuple[str, str | None] | None]:
    found = reduced(each.annotation, several)
    if isinstance(found, tuple):
        return UNLABELLED, found
    return (UNLABELLED if found is None else label_of(found)), None


def _without_file(each: Named) -> Entry:
    """Return the entry of an annotation that names no file of the folder: its place is that of the annotation."""
    problem = each.annotation.problem
    if problem is None:
        shown = shown_name(each.annotation.name)
        problem = (NOT_THERE, f"it names {shown!r:.200}") if shown else (BAD_ANNOTATION, "it names no picture")
    return Entry(each.file, each.part, UNLABELLED, None, *problem, row=each.annotation.row)
