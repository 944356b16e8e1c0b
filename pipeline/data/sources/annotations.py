"""Pictures beside a file that says what they are: CSV, COCO's JSON, or Pascal VOC's XML, reduced to one label each.

    {name: annotations, settings: {format: csv, train: labels.csv, image_column: file, label_column: kind}}
    {name: annotations, settings: {format: coco, train: instances_train.json, test: instances_val.json,
                                   images: train2017, test_images: val2017, several: largest}}
    {name: annotations, settings: {format: voc, train: Annotations, images: JPEGImages}}

Names in an annotation are relative to the folder of pictures, and never lead out of it. A picture has one label:
`several: single` takes the label of all of its boxes, if they have the same; `largest` that of its largest box. A
picture with no box, two annotations, or boxes of several labels, and an annotation whose picture is not there, come
with their problem.
A picture that no annotation names, or names with an empty label, is unlabelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from pipeline.data.sources.image_folder import Files
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.data.annotated_folder import Named
    from pipeline.data.annotation_files import Annotation
    from pipeline.data.source_rows import Source
    from pipeline.data.walking import Found
    from pipeline.data.wanted import Wanted

FEATURES = {"image": "image"}

_LARGEST_XML_BYTES = 2**22


class Settings(Files):
    """Its settings in the recipe."""

    format: Literal["csv", "coco", "voc"] = Field(default="csv", description="format of the annotations")
    train: str = Field(
        default="labels.csv",
        min_length=1,
        description="annotations of the training part: a file, of voc a folder of files",
    )
    validation: str | None = Field(default=None, description="those of the validation part, if they stand apart")
    test: str | None = Field(default=None, description="those of the test part, if they stand apart")
    images: str = Field(default=".", min_length=1, description="folder that the names of pictures are relative to")
    validation_images: str | None = Field(default=None, description="the same of the validation part; null: images")
    test_images: str | None = Field(default=None, description="the same of the test part; null: images")
    several: Literal["single", "largest"] = Field(
        default="single",
        description="label of a picture with several boxes: single, that of all of them; largest, that of the largest",
    )
    image_column: str = Field(default="file", description="csv: column with the picture's name")
    label_column: str = Field(default="label", description="csv: column with its label")
    part_column: str | None = Field(default=None, description="csv: column with train, validation or test; null: none")
    box_columns: tuple[str, str, str, str] | None = Field(
        default=None, strict=False, description="csv: columns xmin, ymin, xmax, ymax; null: a line is a picture"
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="csv: what stands between values")
    largest_annotations_mib: int = Field(default=256, ge=1, le=4096, description="largest file of annotations, MiB")

    @model_validator(mode="after")
    def _stay_inside(self) -> Settings:
        for name in ("train", "validation", "test", "images", "validation_images", "test_images"):
            path = getattr(self, name)
            if path is not None and (path.startswith("/") or ".." in PurePosixPath(path).parts or "\0" in path):
                raise ValueError(f"{name}: {path!r:.80} leads out of data.path; name it relative to that folder")
        return self

    def parts(self) -> list[tuple[str, str, str]]:
        """Return part, annotations and folder of pictures of each part that has annotations of its own."""
        given = [
            ("train", self.train, None),
            ("validation", self.validation, self.validation_images),
            ("test", self.test, self.test_images),
        ]
        return [(part, file, str(PurePosixPath(images or self.images))) for part, file, images in given if file]


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Read the annotations, and look for their pictures; these are read when the tables are iterated."""
    from pipeline.data.annotated_folder import by_path, entries
    from pipeline.data.entries import labels_of, tables
    from pipeline.data.source_rows import NothingThere, Source

    all_named = [each for part in settings.parts() for each in _named(settings, folder, *part)]
    if not all_named:
        raise NothingThere(f"{folder}/{settings.train}: no annotation in it")
    annotated = by_path(all_named)
    there = rows = test_rows = 0
    found_paths = set()
    for found in _files(settings, folder):
        rows += 1
        its = annotated.get(found.name)
        there += its is not None
        found_paths.add(found.name) if its else None
        test_rows += (its[0].part if its else _part_of(settings, found.name)) == "test"
    if not there:
        named = next((each.annotation.name for each in all_named if each.annotation.name), "")
        raise DataError(
            f"{folder}/{settings.images}: none of the {len(all_named)} annotated pictures is there, {named!r:.100} for "
            "one; set data.source.settings.images to the folder that their names are relative to"
        )
    lost = [each for each in all_named if each.path not in found_paths]
    return Source(
        rows=rows + len(lost),
        tables=tables(
            entries(
                _files(settings, folder),
                all_named,
                lambda name: _part_of(settings, name),
                labels_of(wanted.classes),
                settings.several,
                settings.largest_file_bytes,
            )
        ),
        test_rows=test_rows + sum(each.part == "test" for each in lost),
    )


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which annotated pictures are read, None if a path holds none, or none that is found.

    Annotations are looked for in the folder and the folders in it.
    """
    from pipeline.data.recognising import recognise_coco, recognise_csv, recognise_voc

    if not path.is_dir():
        return None
    return recognise_voc(path) or recognise_coco(path) or recognise_csv(path)


def _named(settings: Settings, folder: Path, part: str, file: str, images: str) -> Iterator[Named]:
    from pipeline.data.annotated_folder import named

    for annotation, where in _annotations(settings, folder, file):
        yield named(annotation, where, part, images)


def _annotations(settings: Settings, folder: Path, file: str) -> Iterator[tuple[Annotation, str]]:
    """Yield the annotations of one file, or of VOC's folder of files, each with the path of its file."""
    from pipeline.data.annotation_files import CsvColumns, read_coco, read_csv
    from pipeline.data.file_reading import read_required

    path = folder / file
    if settings.format == "voc":
        yield from _voc(folder, file)
        return
    if not path.exists():
        raise DataError(f"{path} does not exist; name the annotations in data.source.settings{_instead(folder)}")
    content = read_required(str(path), "annotations", settings.largest_annotations_mib * 2**20)
    if settings.format == "coco":
        found = read_coco(content, str(path))
    else:
        columns = CsvColumns(
            settings.image_column,
            settings.label_column,
            settings.part_column,
            settings.box_columns,
            settings.delimiter,
        )
        found = read_csv(content, str(path), columns)
    yield from ((annotation, file) for annotation in found)


def _instead(folder: Path) -> str:
    """Return the settings that would do, as advice."""
    found = recognise(folder)
    return f" (it looks like {found})" if found else ""


def _voc(folder: Path, name: str) -> Iterator[tuple[Annotation, str]]:
    from pipeline.data.annotation_files import Annotation, read_voc
    from pipeline.data.file_reading import read_whole
    from pipeline.data.problems import BAD_ANNOTATION
    from pipeline.data.walking import walk

    if not (folder / name).is_dir():
        raise DataError(f"{folder / name} is no folder; name that of VOC's XML files in data.source.settings.train")
    for found in walk(folder / name, lambda name, is_folder: not is_folder and not name.lower().endswith(".xml")):
        if found.is_empty_folder:
            continue
        where = str(PurePosixPath(name) / found.name)
        read = (found.problem, found.detail) if found.problem else read_whole(found.path, _LARGEST_XML_BYTES)
        if isinstance(read, bytes):
            yield read_voc(read, 0), where
        else:
            yield Annotation("", 0, problem=(BAD_ANNOTATION, ": ".join(filter(None, read)))), where


def _files(settings: Settings, folder: Path) -> Iterator[Found]:
    """Yield what stands in the folders of pictures, annotations left out."""
    from pipeline.data.walking import walk

    parts = settings.parts()
    pictures = {PurePosixPath(images).parts for _, _, images in parts}
    others = {PurePosixPath(file).parts for _, file, _ in parts}
    for found in walk(folder, settings.is_left_alone):
        steps = PurePosixPath(found.name).parts
        is_within = any(steps[: len(each)] == each for each in pictures)
        if is_within and not found.is_empty_folder and not any(steps[: len(each)] == each for each in others):
            yield found


def _part_of(settings: Settings, name: str) -> str:
    """Return the part of a file that no annotation names: that whose folder of pictures it alone lies in."""
    steps = PurePosixPath(name).parts
    parts = {
        part for part, _, images in settings.parts() for each in [PurePosixPath(images).parts]
        if steps[: len(each)] == each
    }  # fmt: skip
    return parts.pop() if len(parts) == 1 else "train"
