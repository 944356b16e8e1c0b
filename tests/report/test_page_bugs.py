"""A bug in the page's own code is shown as one, and there is a page all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.report import page
from pipeline.report.page import render
from tests.report.reading import PageReader


def test_a_bug_is_shown_as_one_and_takes_one_section_only(whole_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(template: str, values: dict[str, Any]) -> Any:
        if template in ("quality", "facts"):
            raise ZeroDivisionError("division by zero")
        return drawn(template, values)

    drawn = page.draw
    monkeypatch.setattr(page, "draw", draw)
    text = PageReader(render(whole_project)).text

    assert text.count("a bug in Ratchet, please report it: ZeroDivisionError: division by zero (test_page_bugs") == 2
    assert "✓ Promote" in text
    assert "0 of 9 checks failed" in text


@pytest.mark.long
def test_even_without_its_template_there_is_a_page(whole_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise KeyError("<template>")

    monkeypatch.setattr(page, "draw", refuse)

    assert b"Unreadable" in render(whole_project)
    assert b"KeyError: &#x27;&lt;template&gt;&#x27;" in render(whole_project)
