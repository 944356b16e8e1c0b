"""Figures, counts, digests and times as people read them."""

from __future__ import annotations

import json
import re
from typing import Any

_LONGEST_TEXT = 160
_LARGEST_WHOLE = 1e12


def number(value: Any) -> str:
    """Return a figure of the gate or the metrics as text: four decimals, whole numbers as counts."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        text = f"{value:.4f}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.3g}"
        return text.replace("-", "−")
    return plain(value)


def count(value: int | None) -> str:
    """Return a whole number with spaces between its thousands: 12 000."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def measure(value: float, unit: str = "", *, figures: int = 4) -> str:
    """Return a value of the data as text, whole numbers whole, others to so many figures, with its unit: 12.5 min."""
    text = count(int(value)) if value == int(value) and abs(value) < _LARGEST_WHOLE else f"{value:.{figures}g}"
    return f"{text.replace('-', '−')}{f' {unit}' if unit else ''}"


def plain(value: Any) -> str:
    """Return any JSON value as one short line of text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def unbroken(text: str) -> str:
    """Return a sentence in which no line ends within a number, or between it and its per cent."""
    return re.sub(r"(?<=\d) (?=\d{3}\b|%)", "\N{NO-BREAK SPACE}", text)


def short(digest: str | None) -> str:
    """Return the beginning of a digest: enough for people to distinguish two."""
    return (digest or "–").removeprefix("sha256:")[:12]


def duration(seconds: float) -> str:
    """Return a time in words: `3.2 s`, `5 min 04 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(text: str) -> str:
    """Return an ISO 8601 time as people read it: 2026-11-22 13:25:07 UTC."""
    day, is_moment, time = re.sub(r"\.\d+", "", text).partition("T")
    for utc in ("+00:00", "Z"):
        time = f"{time.removesuffix(utc)} UTC" if time.endswith(utc) else time
    return f"{day} {time}" if is_moment else text
