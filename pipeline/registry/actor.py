"""Who changes the registry, and when: the one module of this phase that reads the clock and the user's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.runtime import user


@dataclass(frozen=True)
class Actor:
    """A person's name, or what started the run (`scheduled`), and the time, ISO 8601 in UTC."""

    by: str
    at_utc: str

    @classmethod
    def here(cls, asked_by: str = "") -> Actor:
        """Return who asked for what this process does, now: the user of the process, if nobody else is named."""
        return cls(asked_by or user.name(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def event(self, what: str, reason: str, replaced: str, **more: str) -> dict[str, str]:
        """Return an entry for a version's history; `replaced` is the previous champion, as in the tag `ratchet.met`."""
        entry = {"event": what, "at_utc": self.at_utc, "by": self.by, "reason": reason, "champion_before": replaced}
        return entry | more
