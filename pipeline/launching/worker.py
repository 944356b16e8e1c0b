"""One rank of a training, as the launcher starts it: `python -m pipeline.launching.worker --parent PID JOB`.

Its standard output is a channel of JSON lines to the launcher (progress, and at the end why it failed, if it did);
everything else that is printed goes to standard error, whose last lines the launcher quotes if the rank fails.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TextIO

from pipeline.errors import RatchetError
from pipeline.runtime import processes
from pipeline.runtime.imports import report_imports
from pipeline.runtime.progress import EVENT_INTERVAL_S, Throttle

LOST_PEER_CODE = 75


class Channel:
    """Writes events to the launcher, and reports the training's progress."""

    def __init__(self, stream: TextIO, *, is_reporting: bool = True) -> None:
        self._stream = stream
        self._throttle = Throttle(EVENT_INTERVAL_S)
        self.is_reporting = is_reporting

    def send(self, event: str, **values: object) -> None:
        """Send one event."""
        self._stream.write(json.dumps({"event": event, **values}) + "\n")
        self._stream.flush()

    def step(self, what: str) -> None:
        """Report what is being done now."""
        if self.is_reporting:
            self.send("step", what=what)

    def advance(self, done: int, total: int, unit: str, note: str) -> None:
        """Report that `done` of `total` units are done; throttled."""
        if self.is_reporting and self._throttle.is_due(is_last=done >= total):
            self.send("advance", done=done, total=total, unit=unit, note=note)


def take_standard_output() -> TextIO:
    """Reserve standard output for the channel; what libraries print goes to standard error from now on."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return channel


def run(job_path: Path, channel: Channel) -> None:
    """Train as one rank of the job in a JSON file."""
    from pipeline.training.collective import PeerLost
    from pipeline.training.job import Job
    from pipeline.training.rank import train_rank

    job = Job.model_validate_json(job_path.read_bytes())
    channel.is_reporting = os.environ.get("HOROVOD_RANK", "0") == "0"
    try:
        train_rank(job, channel)
    except PeerLost:
        channel.send("lost")
        os._exit(LOST_PEER_CODE)  # without leaving the group: it no longer exists


def main() -> int:
    """Run one rank; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, default=0, help="process to die with; 0: die when standard input ends")
    parser.add_argument("job", type=Path, help="file of the job, JSON")
    arguments = parser.parse_args()
    if arguments.parent:
        processes.die_with_parent(arguments.parent)
    else:
        processes.die_with_input()
    channel = Channel(take_standard_output())
    try:
        run(arguments.job, channel)
    except RatchetError as error:
        channel.send("failed", kind=type(error).__name__, message=str(error))
        os._exit(error.exit_code)  # at once: the other ranks wait for this one, and Horovod would wait for them
    return 0


if __name__ == "__main__":
    report_imports()
    processes.leave(main())
