"""How long a start is waited for: as long as it comes nearer, whatever the clock says, on a busy machine too."""

from __future__ import annotations

import os
from collections.abc import Mapping

STALL_S = 120.0  # in which nothing at all moves
WORK_S = 300.0  # of processor time on one and the same thing: all of a start takes 35 on the machine it was measured on
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Patience:
    """Judges what is seen of a start: what it lacks, the processor time of its processes, its log."""

    def __init__(self, stall_s: float, work_s: float) -> None:
        """Take what may pass without any movement, and what may be worked on one thing; seconds."""
        self._stall_s, self._most_work_s = stall_s, work_s
        self._lacked: set[str] = set()
        self._ticks: Mapping[int, int] = {}
        self._log_size = 0
        self._moved_at_s = 0.0
        self.work_s = 0.0  # on what is lacking

    def lost(self, lacks: str, ticks: Mapping[int, int], log_size: int, now_s: float) -> str | None:
        """Say why waiting any longer for what is lacking is in vain, or None.

        `ticks`: of processor time, by process; `log_size` in bytes.
        """
        worked = sum(max(0, used - self._ticks.get(pid, 0)) for pid, used in ticks.items())
        if lacks not in self._lacked:  # what comes and goes is no step
            self._lacked.add(lacks)
            self.work_s, self._moved_at_s = 0.0, now_s
        elif worked or log_size != self._log_size:
            self.work_s, self._moved_at_s = self.work_s + worked / _TICKS_PER_S, now_s
        self._ticks, self._log_size = dict(ticks), log_size
        if now_s - self._moved_at_s > self._stall_s:
            return f"nothing of it has moved for {self._stall_s:g} s"
        if self.work_s > self._most_work_s:
            return f"its processes have worked on that for {self.work_s:.0f} s of processor time"
        return None
