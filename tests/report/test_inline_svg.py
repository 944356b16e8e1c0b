from __future__ import annotations

import re

import pytest

from pipeline.errors import DataError
from pipeline.report.inline_svg import inline_svg, width_of

SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" width="9pt">
<!-- a comment --><metadata>http://example.org</metadata>{}</svg>"""


def test_ids_and_references_get_the_pictures_own_prefix() -> None:
    body = '<defs><path id="m1" d="M0 0"/></defs><use xlink:href="#m1" clip-path="url(#m1)" style="fill: url(#m1)"/>'

    taken = inline_svg(SVG.format(body).encode(), "roc")

    assert re.findall(r'id="([^"]*)"', taken) == ["roc-m1"]
    assert 'href="#roc-m1"' in taken
    assert taken.count("url(#roc-m1)") == 2
    assert taken.startswith("<svg ")
    assert 'viewBox="0 0 9 9"' in taken
    assert "width" not in taken
    assert "http" not in taken


def test_a_picture_says_how_wide_it_is() -> None:
    assert width_of(inline_svg(SVG.format("").replace("0 0 9 9", "0 0 860.4 900").encode(), "x")) == 860.4
    assert width_of("<svg></svg>") == 0


@pytest.mark.parametrize(
    "harmful",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        '<image href="https://example.org/a.png"/>',
        '<use href="https://example.org/a.svg#x"/>',
        '<use xlink:href="javascript:alert(1)"/>',
        "<foreignObject><p>alert</p></foreignObject>",
        '<style>@import "https://example.org";</style>',
        '<rect style="fill: url(https://example.org/alert)"/>',
        '<rect fill="url(https://example.org/alert)"/>',
        '<rect style="fill: u\\72l(//example.org/alert)"/>',
        '<a href="https://example.org"><rect/></a>',
    ],
)
def test_what_could_run_or_load_is_left_out(harmful: str) -> None:
    taken = inline_svg(SVG.format(harmful + '<path d="M1 1"/>').encode(), "p")

    assert not re.search(r"alert|example|script|import|javascript", taken)
    assert '<path d="M1 1" />' in taken


def test_text_stays_escaped() -> None:
    assert "&lt;script&gt;" in inline_svg(SVG.format("<text>&lt;script&gt;</text>").encode(), "p")


@pytest.mark.parametrize(
    "content", [b"", b"not xml", b"<html/>", b'<!DOCTYPE x [<!ENTITY a "b">]><svg>&a;</svg>', b"<svg>"]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(DataError):
        inline_svg(content, "p")
