"""How many rows entered each data stage, how many left it, and why the rest did not: read from the manifests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import RatchetError
from pipeline.records.manifest import Manifest
from pipeline.storage.manifests import read_manifest

_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class StageFlow:
    """One stage's row counts, None if its data set is missing; `reasons` says why rows were rejected."""

    name: str
    taken_in: int | None
    kept: int | None
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def adds_up(self) -> bool | None:
        """Whether no row was lost or added; None if unknown."""
        if self.taken_in is None or self.kept is None:
            return None
        return self.taken_in == self.kept + self.rejected


@dataclass(frozen=True)
class Flow:
    """The stages in order, the shares of all source rows in each part and among the rejected, and any problems."""

    steps: tuple[StageFlow, ...]
    shares: Mapping[str, float]
    problems: tuple[str, ...]


def read_flow(root: Path) -> Flow:
    """Read the manifests under `root/data`; a missing one leaves a gap, an unusable one a problem."""
    problems: list[str] = []

    def manifest(name: str) -> Manifest | None:
        folder = root / "data" / name
        if not folder.is_dir():
            return None
        try:
            return read_manifest(folder, verify=False)
        except RatchetError as error:
            problems.append(str(error).replace(f"{root}/", ""))
            return None

    raw, clean, quarantine, split = (manifest(name) for name in ("raw", "clean", "quarantine", "split"))
    prepared = {part: manifest(f"prepared/{part}") for part in _PARTS}
    divided, normalized = _counts(split, "parts"), {part: found.rows for part, found in prepared.items() if found}
    augmented = manifest("augmented")
    rejected = _rows(quarantine) or 0
    proof = "no id and no image is in two parts" if split and "proof" in split.counts else ""
    steps = (
        StageFlow("ingest", None, _rows(raw), note="images as the source holds them"),
        StageFlow("clean", _rows(raw), _rows(clean), rejected, reasons=_counts(quarantine, "rejected")),
        StageFlow("split", _rows(clean), _rows(split), parts=divided, note=proof),
        StageFlow("normalize", _rows(split), sum(normalized.values()) if normalized else None, parts=normalized),
        StageFlow("augment", None, _rows(augmented), note="changed copies of training images, beside the originals"),
    )
    shown = {**(divided or normalized), "rejected": rejected}
    whole = sum(shown.values())
    return Flow(steps, {name: rows / whole for name, rows in shown.items() if rows}, tuple(problems))


def _rows(manifest: Manifest | None) -> int | None:
    return None if manifest is None else manifest.rows


def _counts(manifest: Manifest | None, key: str) -> dict[str, int]:
    found: Any = {} if manifest is None else manifest.counts.get(key, {})
    if not isinstance(found, Mapping):
        return {}
    return {str(reason): rows for reason, rows in found.items() if isinstance(rows, int) and rows}
