"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HealthCheck:
    """One thing the pipeline needs. `remedy` is one line that can be pasted, empty where there is nothing to do."""

    name: str
    is_ok: bool
    found: str
    remedy: str = ""
