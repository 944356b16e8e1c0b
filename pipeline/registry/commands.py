"""The commands by which a person answers, as sentences name them. Each of them works where its sentence is said."""

from __future__ import annotations

RESTORE = "bring the registry back from a backup, or publish under another `name` in params.yaml"


def promote_command(version: int, *, is_anchor: bool = False) -> str:
    """Return the command by which a person makes a version champion, or the anchor."""
    return f'`ratchet registry promote {version}{" --anchor" if is_anchor else ""} --reason "…"`'
