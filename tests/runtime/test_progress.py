"""Progress goes to `ratchet run` as events, and to everybody else as readable lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.runtime.progress import EVENTS_VARIABLE, Progress, Throttle, starting_since_birth


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that a run has named for events."""
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    return tmp_path / "events"


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_are_whole_lines_in_the_file_that_the_run_names(path: Path) -> None:
    progress = Progress("clean")
    progress.begin()
    progress.advance(10, 10, "images")
    progress.finish("10 images", peak_memory_mib=3.5)
    kinds = [(event["stage"], event["event"]) for event in events(path)]
    assert kinds == [("clean", "begin"), ("clean", "advance"), ("clean", "finish")]


def test_readings_of_a_stage_are_part_of_its_last_event(path: Path) -> None:
    Progress("clean").finish("10 images", peak_memory_mib=3.5)
    assert events(path)[-1]["peak_memory_mib"] == 3.5


def test_why_a_stage_failed_is_an_event(path: Path) -> None:
    Progress("clean").fail("no such file", 74)
    [event] = events(path)
    assert (event["event"], event["summary"], event["exit_code"]) == ("fail", "no such file", 74)


def test_a_failure_without_a_run_is_said_by_the_command_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(EVENTS_VARIABLE, raising=False)
    Progress("clean").fail("no such file", 74)
    assert capsys.readouterr().err == ""


def test_a_throttle_lets_the_first_through_and_holds_the_next_back() -> None:
    throttle = Throttle(3600.0)
    assert [throttle.is_due(), throttle.is_due()] == [True, False]


def test_a_throttle_always_lets_the_last_through() -> None:
    throttle = Throttle(3600.0)
    throttle.is_due()
    assert throttle.is_due(is_last=True)


def test_a_throttle_lets_through_what_comes_after_its_interval() -> None:
    throttle = Throttle(0.0)
    throttle.is_due()
    assert throttle.is_due()


def test_a_thousand_calls_write_few_events_but_always_the_last(path: Path) -> None:
    progress = Progress("train")
    for done in range(1001):
        progress.advance(done, 1000, "images")
    assert len(events(path)) < 100
    assert events(path)[-1]["done"] == 1000


def test_without_a_run_progress_is_plain_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(EVENTS_VARIABLE, raising=False)
    progress = Progress("train")
    progress.begin()
    progress.step("starting 2 workers")
    progress.advance(12_000, 12_000, "images", note="epoch 1/3")
    progress.finish("12 000 images")
    assert capsys.readouterr().err.splitlines() == [
        "train: starting 2 workers",
        "train: 12 000 of 12 000 images  epoch 1/3",
        "train: 12 000 images",
    ]


def test_a_stage_begins_when_its_process_does(tmp_path: Path) -> None:
    code = (
        "import time; time.sleep(0.2)\n"
        "from pipeline.runtime.progress import Progress\n"
        "progress = Progress('train'); progress.begin(); progress.finish('done')"
    )
    before_s = time.time()
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, EVENTS_VARIABLE: str(tmp_path / "events")}, check=True
    )
    begin, finish = (json.loads(line) for line in (tmp_path / "events").read_text().splitlines())
    assert before_s - 0.1 <= begin["at_s"] <= finish["at_s"] - 0.2
    assert begin["at_s"] + 0.2 <= begin["ready_s"] <= finish["at_s"]


def test_a_start_is_two_events_also_if_it_fails(path: Path) -> None:
    progress = Progress("clean")
    with pytest.raises(OSError, match="no Java"), progress.starting("Spark"):
        raise OSError("no Java")
    kinds = [(event["event"], event["what"]) for event in events(path)]
    assert kinds == [("starting", "Spark"), ("started", "Spark")]


def test_what_takes_long_to_enter_has_started_once_it_is_entered(path: Path) -> None:
    progress = Progress("clean")
    with progress.entering("Spark", nullcontext("a session")) as session:
        progress.step("examining the rows")
    assert session == "a session"
    assert [event["event"] for event in events(path)] == ["starting", "started", "step"]


def test_a_start_without_a_run_is_one_plain_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(EVENTS_VARIABLE, raising=False)
    with Progress("clean").starting("Spark"):
        pass
    assert capsys.readouterr().err == "clean: starting Spark\n"


def test_a_process_of_a_stage_has_been_starting_since_it_began(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "gate")
    with starting_since_birth("TensorFlow"):
        pass
    first, last = events(path)
    assert [(event["stage"], event["event"], event["what"]) for event in (first, last)] == [
        ("gate", "starting", "TensorFlow"),
        ("gate", "started", "TensorFlow"),
    ]
    assert float(str(first["at_s"])) < float(str(last["at_s"])) - 0.1


@pytest.mark.parametrize("variable", [EVENTS_VARIABLE, "DVC_STAGE"])
def test_without_a_run_a_process_of_a_stage_tells_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.setenv("DVC_STAGE", "gate")
    monkeypatch.delenv(variable)
    with starting_since_birth("TensorFlow"):
        pass
    assert not path.exists()
    assert capsys.readouterr().err == ""
