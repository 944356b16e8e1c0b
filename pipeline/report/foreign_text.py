"""Texts of the data, shown as what they are: nothing in them can hide, or change how what stands beside them reads.

A column may hold anything: markup, letters that are written from right to left, characters that have no width. What
would not be seen is shown by its code point, and a text that may be written in the other direction is isolated from
what stands around it (Unicode Technical Report 36, Unicode Security Considerations, sections 2.5 and 2.8; Unicode
Standard Annex 9, section 2.4). A text of printable ASCII stays as it is.
"""

from __future__ import annotations

import unicodedata
from typing import Any

# Control, format, surrogate, private, unassigned; line and paragraph separators; blanks that are not the common one.
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")
# Letters and marks without a picture: Unicode's Default_Ignorable_Code_Point, as far as it is in no category above; and
# the blank of braille.
_WITHOUT_PICTURE = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810)}
_WITHOUT_PICTURE |= {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
_RIGHT_TO_LEFT = ("R", "AL", "AN")  # Unicode's classes of letters and digits that are written so
_IN_LINES = ("\n", "\t")


def foreign(value: Any, *, has_lines: bool = False) -> Any:
    """Return a text as markup. With lines, ends of lines and tabs stay as they are; without, they are shown as well."""
    from markupsafe import Markup, escape

    text = str(value).replace("\r\n", "\n") if has_lines else str(value)
    seen = [escape(each) if _is_seen(each, has_lines) else _named(each) for each in text]
    if text.isascii() and all(_is_seen(each, has_lines) for each in text):
        return escape(text)
    return Markup("<bdi>%s</bdi>") % Markup("").join(seen)


def visible(text: str) -> str:
    """Return a text in which what would not be seen, ends of lines included, is named by its code point.

    If letters of it are written from right to left, it is isolated from what stands around it: for files without
    markup.
    """
    shown = "".join(each if _is_seen(each, has_lines=False) else f"U+{ord(each):04X}" for each in text)
    is_turned = any(unicodedata.bidirectional(each) in _RIGHT_TO_LEFT for each in shown)
    return f"\N{FIRST STRONG ISOLATE}{shown}\N{POP DIRECTIONAL ISOLATE}" if is_turned else shown


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text, `most` characters with the mark that it goes on."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _is_seen(character: str, has_lines: bool) -> bool:
    if character == " " or (has_lines and character in _IN_LINES):
        return True
    return ord(character) not in _WITHOUT_PICTURE and unicodedata.category(character) not in _UNSEEN


def _named(character: str) -> Any:
    from markupsafe import Markup

    return Markup('<span class="unseen">U+%s</span>') % f"{ord(character):04X}"
