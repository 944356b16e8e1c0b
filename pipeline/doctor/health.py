"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HealthCheck:
    """One thing the pipeline needs. `remedy` is a command to paste, empty if there is nothing to do."""

    name: str
    is_ok: bool
    found: str
    remedy: str = ""
