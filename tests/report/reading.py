"""How the tests read a page, and change the files it is made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from pipeline.report.page import render


class PageReader(HTMLParser):
    """The elements, the visible text and the attributes of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._is_in_style = False
        self.feed(page.decode())
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element and its attributes."""
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._is_in_style = self._is_in_style or tag == "style"

    def handle_endtag(self, tag: str) -> None:
        """Keep neighbouring cells apart."""
        if tag == "style":
            self._is_in_style = False
        self.text += " " if tag in ("td", "th", "dt", "dd") else ""

    def handle_data(self, data: str) -> None:
        """Note the text."""
        if not self._is_in_style:
            self.text += data


def shown(root: Path) -> str:
    """Return the visible text of the page for a project."""
    return PageReader(render(root)).text


def written(root: Path) -> str:
    """Return the page's text: it is whole, and nothing on it is a surprise."""
    return PageReader(rendered(root)).text


def rendered(root: Path) -> bytes:
    """Return the page: it is whole, and nothing on it is a surprise. What it says is not read, which takes longer."""
    content = render(root)
    assert content.rstrip().endswith(b"</html>")
    assert b"a bug in Ratchet" not in content
    assert escape(str(root)).encode() not in content
    return content


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file by hand."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))
