"""The page for people: one self-contained HTML file, the verdict first, then why.

It shows the outputs of a run under the root and says plainly what is missing. Everything read is escaped; the file
loads nothing and runs nothing, and its own content policy forbids both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from pipeline.report import figures, measured
from pipeline.report.headline import headline, unreadable
from pipeline.report.parts import PARTS, Part
from pipeline.report.run_files import RunFiles, read_run_files
from pipeline.report.sections import Section, section

_TEMPLATES = Path(__file__).parent / "templates"
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
    return str(_draw("page", {**common, "facts": facts, "parts": parts}))


def _facts(files: RunFiles, common: dict[str, Any]) -> Any:
    report = files.metrics.value
    primary = measured.primary(report) if report else None
    return _draw("facts", {**common, "primary": primary, "has_registry": files.place("registration")})


def _is_shown(part: Part, files: RunFiles) -> bool:
    return part.needs is None or files.graph.value is None or bool(part.needs(files.graph.value))


def _part(part: Part, files: RunFiles, common: dict[str, Any]) -> DrawnPart:
    if part.needs and files.graph.value is None:
        return DrawnPart(part.id, part.title, part.link, Section(None, _NO_GRAPH))
    drawn = section(lambda: _draw(part.id, {**common, **part.read(files)}), files.root)
    return DrawnPart(part.id, part.title, part.link, drawn)


def _draw(template: str, values: dict[str, Any]) -> Any:
    from markupsafe import Markup

    markup = _environment().get_template(f"{template}.html.jinja").render(values)
    return Markup(markup)  # noqa: S704 - drawn by our own template, which escapes


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (figures.number, figures.count, figures.plain, figures.short, figures.moment)
    environment.filters.update({each.__name__: each for each in shown})
    return environment
