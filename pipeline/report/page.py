"""The page for people: one self-contained HTML file, the verdict first, then why.

It shows the outputs of a run under the root and says plainly what is missing. Everything read is escaped; the file
loads nothing and runs nothing, and its own content policy forbids both.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from pipeline.report import figures, measured
from pipeline.report.champions import page_of_version
from pipeline.report.drawing import draw
from pipeline.report.headline import headline, unreadable
from pipeline.report.parts import PARTS, Part
from pipeline.report.run_files import RunFiles, read_run_files
from pipeline.report.sections import Section, section

_NO_GRAPH = "dvc.yaml, which says where it is, cannot be read"


@dataclass(frozen=True)
class DrawnPart:
    """A part of the page as markup, or why there is none."""

    id: str
    title: str
    link: str
    drawn: Section[Any]


def render(root: Path) -> bytes:
    """Return the page for what is under `root`. Never fails: what cannot be shown is a section that says why."""
    page = section(lambda: _page(root), root)
    text = page.value or f"<!doctype html><title>■ Unreadable</title><h1>■ Unreadable</h1><p>{escape(page.problem)}</p>"
    return text.encode(errors="replace")  # a name that is not text


def _page(root: Path) -> str:
    files = read_run_files(root)
    said = section(lambda: headline(files), root)
    first = said.value or unreadable(said.problem)
    common = {
        "headline": first,
        "name": figures.plain((files.recipe.value or {}).get("name", "model")),
        "verdict": files.verdict,
        "registration": files.registration,
        "metrics": files.metrics,
        "run": files.run,
        "contracts": files.contracts,
        "recipe": files.recipe,
    }
    facts = section(lambda: _facts(files, common), root)
    parts = [_part(part, files, common) for part in PARTS if _is_shown(part, files)]
    return str(draw("page", {**common, "facts": facts, "parts": parts}))


def _facts(files: RunFiles, common: dict[str, Any]) -> Any:
    report = files.metrics.value
    primary = measured.primary(report) if report else None
    registered = files.registration.value
    return draw(
        "facts",
        {
            **common,
            "primary": primary,
            "has_registry": files.place("registration"),
            "registry_page": page_of_version(registered.registry, registered.name, registered.version)
            if registered
            else "",
        },
    )


def _is_shown(part: Part, files: RunFiles) -> bool:
    is_made = part.needs is None or files.graph.value is None or bool(part.needs(files.graph.value))
    return is_made and (part.shows is None or part.shows(files))


def _part(part: Part, files: RunFiles, common: dict[str, Any]) -> DrawnPart:
    if part.needs and files.graph.value is None:
        return DrawnPart(part.id, part.title, part.link, Section(None, _NO_GRAPH))
    drawn = section(lambda: draw(part.id, {**common, **part.read(files)}), files.root)
    return DrawnPart(part.id, part.title, part.link, drawn)
