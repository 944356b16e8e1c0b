"""How many rows entered each stage, how many left it, and why the rest did not: read from the manifests.

Which data sets lie before and after a stage stands in its `rows` (pipeline/graph.py). A data set is a folder with a
manifest, or one with a folder for each part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.graph import Rows
from pipeline.report.sections import Section, find_folder, section
from pipeline.storage.data_sets import DataSet, read_data_set

_REASONS, _LOST = "rejected", "lost_test_rows"  # what stages count in manifests


@dataclass(frozen=True)
class StageFlow:
    """One stage's row counts, None if its data set is missing.

    `reasons` says why rows were rejected; `lost`, why rows of the test part were, where the stage has divided the rows.
    A stage that `makes` rows reads none.
    """

    name: str
    taken_in: int | None
    kept: int | None
    rejected: int | None = 0
    held: int | None = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    makes: bool = False

    @property
    def adds_up(self) -> bool | None:
        """Whether no row was lost or added; None if unknown."""
        if self.taken_in is None or self.kept is None or self.rejected is None or self.held is None:
            return None
        return self.taken_in == self.kept + self.rejected + self.held


@dataclass(frozen=True)
class Flow:
    """The stages in order, the shares of all source rows in each part and among the others, and any problems."""

    steps: tuple[StageFlow, ...]
    shares: Mapping[str, float]
    problems: tuple[str, ...]


def find_data_set(folder: Path) -> DataSet | None:
    """Read the manifests of a data set; None if there is no such folder.

    Raises StorageError or DataError if a manifest is missing or damaged, or if something else stands in its place.
    """
    return read_data_set(folder) if find_folder(folder) else None


def read_flow(root: Path, stages: Sequence[tuple[str, Rows]]) -> Flow:
    """Read the manifests that stages declare; a missing one leaves a gap, an unusable one a problem."""
    paths = dict.fromkeys(path for _, rows in stages for path in _paths(rows) if path)
    found = {path: section(lambda path=path: find_data_set(root / path), root) for path in paths}  # type: ignore[misc]
    steps, order = list[StageFlow](), list[str]()
    for name, rows in stages:
        step = _step(name, rows, found, order)
        steps.append(step)
        order = order or list(step.parts)
    in_parts = [step for step in steps if step.parts]
    divided = next((step.parts for step in reversed(in_parts) if step.rejected or step is in_parts[0]), {})
    shown = {
        **divided,
        "rejected": sum(step.rejected or 0 for step in steps),
        "held back": sum(step.held or 0 for step in steps),
    }
    whole = sum(rows for rows in shown.values() if rows > 0)
    shares = {name: rows / whole for name, rows in shown.items() if rows > 0}
    return Flow(tuple(steps), shares, tuple(dict.fromkeys(one.problem for one in found.values() if one.problem)))


def _paths(rows: Rows) -> tuple[str | None, ...]:
    return rows.read, rows.kept, rows.rejected, rows.held


def _step(name: str, rows: Rows, found: Mapping[str, Section[DataSet]], order: Sequence[str]) -> StageFlow:
    before, kept, rejected, _ = (found[path].value if path else None for path in _paths(rows))
    parts = kept.divided if kept and rows.read else {}  # the parts of a source are not ours
    ranks = {part: rank for rank, part in enumerate(order)}

    def aside(path: str | None) -> int | None:
        """Return the rows of a data set beside the kept one: none if there is none, None if it cannot be read."""
        if path is None:
            return 0
        value = found[path].value
        return value.rows if value else None if found[path].problem else 0

    return StageFlow(
        name,
        before.rows if before else None,
        kept.rows if kept else None,
        aside(rows.rejected),
        aside(rows.held),
        reasons=rejected.counts(_REASONS) if rejected else {},
        parts=dict(sorted(parts.items(), key=lambda part: ranks.get(part[0], len(ranks)))),
        lost=kept.counts(_LOST) if kept else {},
        note=rows.note or (rows.proof if kept and kept.has_proof else ""),
        makes=rows.read is None,
    )
