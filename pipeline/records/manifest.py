"""`manifest.json` of a data set: what it holds, file by file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, ClassVar

from pydantic import Field, field_validator

from pipeline.errors import DataError, nearest
from pipeline.records.digests import digest_json
from pipeline.records.feature import FeatureSpec
from pipeline.records.record import Record

MANIFEST_FILE = "manifest.json"
TARGET = "target"  # among counts: which column is predicted, of raw, clean and prepared rows of a table


class FileEntry(Record):
    """One file of a data set: its path inside the set, its rows, its size and the digest of its bytes."""

    path: str
    rows: int
    size_bytes: int
    digest: str

    @field_validator("path")
    @classmethod
    def _stays_in_the_folder(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or path.startswith("/"):
            raise ValueError(f"'{path}' is not a path inside the data set")
        return path


class Manifest(Record):
    """What a data set holds.

    `columns` maps each column to its type (`schema` in the file). `features` describes those that a model takes: record
    version 1 had one, called `pixels`, in its columns alone. `counts` holds what the stage that wrote the set
    counted (rows per class, rows rejected by reason …): JSON, and a function of the content alone.
    """

    VERSION: ClassVar[int] = 2
    rows: int
    files: tuple[FileEntry, ...]
    columns: dict[str, str] = Field(validation_alias="schema", serialization_alias="schema")
    features: tuple[FeatureSpec, ...] = ()
    counts: dict[str, Any] = Field(default_factory=dict)

    def feature(self, name: str) -> FeatureSpec:
        """Return a feature by its name; raise DataError if there is none."""
        for spec in self.features:
            if spec.name == name:
                return spec
        raise DataError(f"manifest: no feature '{name}'{nearest(name, (spec.name for spec in self.features))}")

    @property
    def digest(self) -> str:
        """The identity of the data set: a digest over its columns and features, and its files' digests."""
        features = [[spec.to_json() for spec in self.features]] if self.features else []
        return digest_json([self.columns, [[file.path, file.rows, file.digest] for file in self.files], *features])

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as it stands in its file, with its digest."""
        values = super().to_json()
        return {**{key: values.pop(key) for key in ("record_version", "rows")}, "digest": self.digest, **values}

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Leave the digest out: it follows from the rest. `storage/manifests.py` checks that the two agree."""
        return {key: value for key, value in super().upgraded(values, version).items() if key != "digest"}
