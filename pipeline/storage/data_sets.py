"""A data set as a stage leaves it: a folder with a manifest, or one with a folder for each part; and its account.

What a stage has read is what it has kept, rejected and held back, together and part by part. Which data sets these are
stands in the stage's `rows` (pipeline/graph.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Bug, StorageError
from pipeline.graph import Rows
from pipeline.records.manifest import MANIFEST_FILE, Manifest
from pipeline.storage.manifests import read_manifest

_PARTS, _PROOF = "parts", "proof"  # what stages count in manifests


@dataclass(frozen=True)
class DataSet:
    """What the manifests of a data set say: of the whole, or of each part."""

    parts: Mapping[str, Manifest]
    is_divided: bool

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return sum(manifest.rows for manifest in self.parts.values())

    def counts(self, key: str) -> dict[str, int]:
        """What the stage that wrote the set has counted under a key; what is no count is left out."""
        found: Any = {} if self.is_divided else next(iter(self.parts.values())).counts.get(key, {})
        if not isinstance(found, Mapping):
            return {}
        return {str(name): rows for name, rows in found.items() if isinstance(rows, int) and rows > 0}

    @property
    def divided(self) -> dict[str, int]:
        """The rows of each part: as counted, or of the folder of each."""
        if not self.is_divided:
            return self.counts(_PARTS)
        return {name: manifest.rows for name, manifest in self.parts.items()}

    @property
    def has_proof(self) -> bool:
        """Whether the stage that wrote the set has put a proof in its manifest."""
        return any(_PROOF in manifest.counts for manifest in self.parts.values())


def read_data_set(folder: Path) -> DataSet:
    """Read the manifests of a data set.

    Raises StorageError or DataError if a manifest is missing or damaged, or if the folder is.
    """
    try:
        inside = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError as error:
        raise StorageError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if (folder / MANIFEST_FILE).exists() or not inside:
        return DataSet({folder.name: read_manifest(folder, verify=False)}, is_divided=False)
    return DataSet({part.name: read_manifest(part, verify=False) for part in inside}, is_divided=True)


def require_all_accounted(root: Path, stage: str, rows: Rows) -> None:
    """Raise Bug, saying where, unless every row that a stage has read is kept, rejected or held back.

    Where both the rows read and those kept are divided into parts, each part's rows are compared too.
    """
    if rows.read is None:
        return
    read = read_data_set(root / rows.read)
    left = {path: read_data_set(root / path) for path in (rows.kept, rows.rejected, rows.held) if path}
    if read.rows != sum(each.rows for each in left.values()):
        found = ", ".join(f"{each.rows} in {path}" for path, each in left.items())
        raise Bug(f"stage {stage}: {read.rows} rows in {rows.read}, but {found}: they do not add up; please report it")
    before, after = read.divided, left[rows.kept].divided
    for part in sorted(before.keys() | after.keys()) if before and after and len(left) == 1 else ():
        if before.get(part, 0) != after.get(part, 0):
            raise Bug(
                f"stage {stage}: part {part} has {before.get(part, 0)} rows in {rows.read}, "
                f"but {after.get(part, 0)} in {rows.kept}; please report it"
            )
