"""Supervision of real processes: small programs that behave as ranks do, without TensorFlow."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import Bug, DataError, TryAgain
from pipeline.launching import supervision
from pipeline.launching.supervision import Rank, supervise
from pipeline.runtime.progress import Progress
from tests.waiting import HANG_S

StartRanks = Callable[..., list[Rank]]
FOREVER = "import signal; signal.pause()"
LOST = 'import os; print(\'{"event": "lost"}\', flush=True); os._exit(75)'


@pytest.fixture
def start_ranks() -> Iterator[StartRanks]:
    started: list[Rank] = []

    def start(*programs: str) -> list[Rank]:
        first = len(started)
        for number, program in enumerate(programs, first):
            errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by Rank.end
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, stderr=errors, process_group=0
            )
            started.append(Rank(number, "localhost", process, errors))
        return started[first:]

    yield start
    for rank in started:
        rank.end()


def after(rank: Rank) -> str:
    """Return a program that ends once another rank's end has been noticed."""
    return f"import os, time\nwhile os.path.exists('/proc/{rank.process.pid}'): time.sleep(0.01)\n"


def say(**event: object) -> str:
    return f"print({json.dumps(event)!r}, flush=True)"


def test_ranks_that_end_well_are_waited_for(start_ranks: StartRanks) -> None:
    [first] = start_ranks("pass")
    ranks = [first, *start_ranks(after(first))]
    supervise(ranks, Progress("train"))
    assert [rank.process.returncode for rank in ranks] == [0, 0]


def test_progress_is_passed_on(start_ranks: StartRanks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events = tmp_path / "events"
    monkeypatch.setenv("RATCHET_EVENTS", str(events))
    program = say(event="step", what="building") + ";" + say(event="advance", done=5, total=5, unit="images", note="n")
    heard_before: list[int] = []
    supervise(
        start_ranks(program),
        Progress("train"),
        at_step=lambda: heard_before.append(len(events.read_text().splitlines())),
    )
    assert heard_before == [1]  # before the first step is passed on, and not for what comes before it
    heard = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(event["event"], event.get("what"), event.get("done")) for event in heard] == [
        ("step", "building", None),
        ("advance", None, 5),
    ]


def test_a_killed_rank_is_named_with_its_signal_at_once(
    start_ranks: StartRanks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_GRACE_S", HANG_S)  # nothing may wait for it
    ranks = start_ranks(FOREVER, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(TryAgain, match="rank 1 on localhost was ended by SIGKILL") as caught:
        supervise(ranks, Progress("train"))
    assert caught.value.exit_code == 75


def test_an_error_of_a_rank_comes_out_as_it_was(start_ranks: StartRanks) -> None:
    failing = say(event="failed", kind="DataError", message="the loss is nan") + "; raise SystemExit(65)"
    with pytest.raises(DataError, match=r"^the loss is nan$"):
        supervise(start_ranks(FOREVER, failing), Progress("train"))


def test_the_cause_is_reported_though_its_consequence_came_first(
    start_ranks: StartRanks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_GRACE_S", 60.0)
    [lost] = start_ranks(LOST)
    failing = say(event="failed", kind="DataError", message="shard damaged")
    [cause] = start_ranks(f"{after(lost)}{failing}; raise SystemExit(65)")
    with pytest.raises(DataError, match="shard damaged"):
        supervise([lost, cause], Progress("train"))


def test_ranks_that_only_lost_each_other_may_be_tried_again(
    start_ranks: StartRanks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_GRACE_S", 0.2)
    with pytest.raises(TryAgain, match="rank 0 lost touch with the others"):
        supervise(start_ranks(LOST, FOREVER), Progress("train"))


def test_an_unforeseen_failure_is_a_bug_with_its_last_words(start_ranks: StartRanks) -> None:
    with pytest.raises(Bug, match=r"rank 0 on localhost exited with 1: .*ZeroDivisionError: division by zero"):
        supervise(start_ranks("1 / 0"), Progress("train"))


def test_ending_a_rank_ends_its_whole_group(start_ranks: StartRanks) -> None:
    program = "import os, signal; child = os.fork(); child and print(child, flush=True); signal.pause()"
    [rank] = start_ranks(program)
    assert rank.process.stdout is not None
    child = os.pidfd_open(int(rank.process.stdout.readline()))
    rank.end()
    assert select.select([child], [], [], 5.0)[0], "the child of the rank still runs"
