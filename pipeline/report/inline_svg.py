"""Makes an SVG file safe to embed in a page, next to others.

Ids get a prefix, so that pictures do not refer to each other's elements; everything that could run, load or style
anything outside the picture is dropped: only drawing elements, and references that begin with `#`, are copied.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from pipeline.errors import DataError

# fmt: off
_ELEMENTS = {
    "svg", "g", "defs", "clipPath", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text",
    "tspan", "use", "title", "desc",
}
_ATTRIBUTES = {
    "id", "class", "d", "x", "y", "dx", "dy", "cx", "cy", "r", "rx", "ry", "x1", "y1", "x2", "y2", "width",
    "height", "points", "transform", "viewBox", "preserveAspectRatio", "fill", "fill-opacity", "stroke",
    "stroke-opacity", "stroke-width", "text-anchor", "opacity", "clip-path", "style", "href",
}
# fmt: on
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_LEFT_OUT_OF_STYLE = re.compile(r"font-family:[^;]*;?\s*")  # the page's own type is used
_UNSAFE_STYLE = re.compile(r"url\((?!#)|@|expression|\\", re.IGNORECASE)


def inline_svg(content: bytes, prefix: str) -> str:
    """Return the picture as an `<svg>` element with ids `<prefix>-…` and no size of its own.

    Raises DataError if it is not SVG.
    """
    try:
        text = content.decode()  # whatever encoding it declares: in another one, entities would not be seen here
        if "<!ENTITY" in text:
            raise DataError("the picture declares entities; Ratchet writes none: make it again")
        root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"the picture is not SVG ({error}); make it again") from error
    if _local(root.tag) != "svg":
        raise DataError(f"the picture is not SVG but <{_local(root.tag)}>; make it again")
    element = _sanitised(root, prefix)
    for size in ("width", "height"):
        element.attrib.pop(size, None)
    element.set("aria-hidden", "true")  # the figure around it has the description
    return ElementTree.tostring(element, encoding="unicode", method="xml")


def width_of(picture: str) -> float:
    """Return how wide a picture is in its own units, points of an inch; 0 if it does not say."""
    found = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ', picture)
    return float(found[1]) if found else 0.0


def _sanitised(source: ElementTree.Element, prefix: str) -> ElementTree.Element:
    element = ElementTree.Element(_local(source.tag))
    for name, value in source.attrib.items():
        safe_value = _attribute(_local(name), value, prefix)
        if safe_value is not None:
            element.set(_local(name), safe_value)
    element.text, element.tail = source.text, source.tail
    for child in source:
        if isinstance(child.tag, str) and _local(child.tag) in _ELEMENTS:  # comments have no name
            element.append(_sanitised(child, prefix))
    return element


def _attribute(name: str, value: str, prefix: str) -> str | None:
    if name not in _ATTRIBUTES:
        return None
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return f"#{prefix}-{value[1:]}" if value.startswith("#") else None
    if _UNSAFE_STYLE.search(value):
        return None
    value = _REFERENCE.sub(lambda match: f"url(#{prefix}-{match[1]})", value)
    return _LEFT_OUT_OF_STYLE.sub("", value) if name == "style" else value


def _local(name: str) -> str:
    return name.rpartition("}")[2]
