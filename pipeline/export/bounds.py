"""What a form of a model may take on a machine: how long a call with one row, and how large its files are."""

from __future__ import annotations

from typing import NamedTuple

_MEBI = 2**20


class MachineBounds(NamedTuple):
    """The longest time of 95 % of the calls with one row, and the largest size of a form; None: any."""

    p95_ms: float | None = None
    size_mib: float | None = None

    @property
    def are_set(self) -> bool:
        """Whether there is anything to hold a form to."""
        return self.p95_ms is not None or self.size_mib is not None

    def beyond(self, name: str, size_bytes: int, p95_ms: float | None) -> str:
        """Return which bound a form does not hold, in words; "" if it holds them. An unknown time holds none."""
        if self.size_mib is not None and size_bytes > self.size_mib * _MEBI:
            return f"its {name} has {size_bytes / _MEBI:.3g} MiB, {self.size_mib:g} may be on this machine"
        if self.p95_ms is None:
            return ""
        if p95_ms is None:
            return f"how long its {name} takes is not known, and {self.p95_ms:g} ms a call may be on this machine"
        if not p95_ms <= self.p95_ms:
            return f"its {name} takes {p95_ms:.3g} ms a call of one row at the 95th percentile, {self.p95_ms:g} may be"
        return ""
