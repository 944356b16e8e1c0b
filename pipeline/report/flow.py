"""How many rows entered each stage, how many left it, and why the rest did not: read from the manifests.

Which data sets lie before and after a stage stands in its `rows` (pipeline/graph.py). A data set is a folder with a
manifest, or one with a folder for each part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.graph import Rows
from pipeline.records.manifest import MANIFEST_FILE, Manifest
from pipeline.report.sections import Section, find_folder, section
from pipeline.storage.manifests import read_manifest

_PARTS, _REASONS, _PROOF, _LOST = "parts", "rejected", "proof", "lost_test_rows"  # what stages count in manifests


@dataclass(frozen=True)
class StageFlow:
    """One stage's row counts, None if its data set is missing.

    `held` rows were held back. `reasons` says why rows were rejected; `lost`, why rows of the test part were, where
    the stage has divided the rows.
    """

    name: str
    taken_in: int | None
    kept: int | None
    rejected: int | None = 0
    held: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def adds_up(self) -> bool | None:
        """Whether no row was lost or added; None if unknown."""
        if self.taken_in is None or self.kept is None or self.rejected is None:
            return None
        return self.taken_in == self.kept + self.rejected + self.held


@dataclass(frozen=True)
class Flow:
    """The stages in order, the shares of all source rows in each part and among the rejected, and any problems."""

    steps: tuple[StageFlow, ...]
    shares: Mapping[str, float]
    problems: tuple[str, ...]


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


def read_data_set(folder: Path) -> DataSet | None:
    """Read the manifests of a data set; None if there is no such folder.

    Raises StorageError or DataError if a manifest is missing or damaged, or if something else stands in its place.
    """
    if not find_folder(folder):
        return None
    inside = sorted(each for each in folder.iterdir() if each.is_dir())
    if (folder / MANIFEST_FILE).exists() or not inside:
        return DataSet({folder.name: read_manifest(folder, verify=False)}, is_divided=False)
    return DataSet({part.name: read_manifest(part, verify=False) for part in inside}, is_divided=True)


def read_flow(root: Path, stages: Sequence[tuple[str, Rows]]) -> Flow:
    """Read the manifests that stages declare; a missing one leaves a gap, an unusable one a problem."""
    paths = dict.fromkeys(path for _, rows in stages for path in rows.data_sets)
    found = {path: section(lambda path=path: read_data_set(root / path), root) for path in paths}  # type: ignore[misc]
    steps, order = list[StageFlow](), list[str]()
    for name, rows in stages:
        step = _step(name, rows, found, order)
        steps.append(step)
        order = order or list(step.parts)
    divided = next((step.parts for step in steps if step.parts), {})
    shown = {**divided, "rejected": sum(step.rejected or 0 for step in steps)}
    whole = sum(rows for rows in shown.values() if rows > 0)
    shares = {name: rows / whole for name, rows in shown.items() if rows > 0}
    return Flow(tuple(steps), shares, tuple(dict.fromkeys(one.problem for one in found.values() if one.problem)))


def _step(name: str, rows: Rows, found: Mapping[str, Section[DataSet]], order: Sequence[str]) -> StageFlow:
    before, kept, rejected = (found[path].value if path else None for path in (rows.read, rows.kept, rows.rejected))
    parts = kept.divided if kept and rows.read else {}  # the parts of a source are not ours
    ranks = {part: rank for rank, part in enumerate(order)}
    is_lost = rows.rejected is not None and found[rows.rejected].problem
    return StageFlow(
        name,
        before.rows if before else None,
        kept.rows if kept else None,
        None if is_lost else rejected.rows if rejected else 0,
        held=held.rows if (held := found[rows.held].value if rows.held else None) else 0,
        reasons=rejected.counts(_REASONS) if rejected else {},
        parts=dict(sorted(parts.items(), key=lambda part: ranks.get(part[0], len(ranks)))),
        lost=kept.counts(_LOST) if kept else {},
        note=rows.note or (rows.proof if kept and kept.has_proof else ""),
    )
