"""How the templates are drawn: everything is escaped by default, and a name that is not given is an error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.report import figures
from pipeline.report.foreign_text import foreign

_TEMPLATES = Path(__file__).parent / "templates"


def draw(template: str, values: Mapping[str, Any]) -> Any:
    """Return a template's markup, to be inserted in another one as it is."""
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
    shown = (figures.number, figures.count, figures.plain, figures.short, figures.moment, figures.unbroken, foreign)
    environment.filters.update({each.__name__: each for each in shown})
    return environment
