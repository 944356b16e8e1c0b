"""Who changes the registry, and when: the one module of this phase that reads the clock and the user's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.runtime import user


@dataclass(frozen=True)
class Actor:
    """The user's name and the time, ISO 8601 in UTC."""

    by: str
    at_utc: str

    @classmethod
    def here(cls) -> Actor:
        """Return the user of this process, now."""
        return cls(user.name(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def event(self, what: str, reason: str, replaced: str) -> dict[str, str]:
        """Return an entry for a version's history; `replaced` is the previous champion, as in the tag `ratchet.met`."""
        return {"event": what, "at_utc": self.at_utc, "by": self.by, "reason": reason, "champion_before": replaced}
