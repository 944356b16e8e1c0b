"""What DVC says, and does not say, becomes rows and one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Bug, RatchetError, StorageError, TryAgain
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.runs import dvc_repro, reproduction
from pipeline.runs.console import Console
from pipeline.runs.dvc_repro import Order
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.record_files import write_record
from tests.runs.given import write_files

# What DVC's own process does first (`dvc_repro._become`), without loading what that needs.
AS_ORDERED = """
import json, os, sys
whole = json.load(sys.stdin)
os.environ.clear()
os.environ.update(whole["environment"])
os.chdir(whole["workspace"])
log = os.open(whole["log"], os.O_RDWR)
os.dup2(log, 1)
os.dup2(log, 2)
"""
WHOLE = Order()
LOGS = "runs/r1/logs"
EVENT = {"stage": "clean", "event": "begin", "at_s": 1.0}


def drive(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    command: list[str] | None = None,
    order: Order = WHOLE,
    rows: dict[str, StageRow] | None = None,
) -> dict[str, StageRow]:
    """Follow a stand-in for DVC that prints what DVC prints: DVC itself runs in tests/system/."""
    stand_in = tmp_path / "dvc.py"
    stand_in.write_text(AS_ORDERED + script)
    monkeypatch.setattr(dvc_repro, "_COMMAND", command or [sys.executable, str(stand_in)])
    rows = rows or {name: StageRow(name) for name in ("ingest", "clean", "split")}
    with Console(rows.values()) as console:
        reproduction.reproduce(tmp_path, rows, console, os.environ, tmp_path / LOGS, order)
    return rows


def test_locks_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    living = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    dead = subprocess.Popen([sys.executable, "-c", "", "dvc"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # a number given away again

    def info(pid: int) -> dict[str, object]:
        return {"pid": pid, "cmd": "dvc repro"}

    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    read = {"a": [info(dead.pid), info(living.pid)], "b": [info(dead.pid)], "c": [info(other.pid)]}
    path.write_text(json.dumps({"read": read, "write": {"d": info(dead.pid), "e": info(living.pid)}}))
    reproduction.drop_dead_locks(tmp_path)
    assert json.loads(path.read_text()) == {"read": {"a": [info(living.pid)]}, "write": {"e": info(living.pid)}}
    dead.wait()
    living.communicate(b"\n")
    other.communicate(b"\n")


def test_locks_that_dvc_was_killed_over_are_no_locks(tmp_path: Path) -> None:
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text('{"read": {"a": [{"pi')
    reproduction.drop_dead_locks(tmp_path)
    assert not path.exists()


def say(*lines: str) -> str:
    return "".join(f"print({line!r}, flush=True)\n" for line in lines)


def say_of(*expressions: str) -> str:
    return "import os\n" + "".join(f"print({expression}, flush=True)\n" for expression in expressions)


def event(**values: object) -> str:
    line = json.dumps({**EVENT, **values}) + "\n"
    return f"import os; open(os.environ['RATCHET_EVENTS'], 'a').write({line!r})\n"


def test_rows_tell_what_was_skipped_restored_and_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        say("Stage 'ingest' didn't change, skipping", "Running stage 'clean':")
        + event()
        + event(event="finish", summary="10 rows", at_s=3.0)
        + say("Stage 'split' is cached - skipping run, checking out outputs")
    )
    rows = drive(tmp_path, monkeypatch, script)
    assert [(row.state, row.what) for row in rows.values()] == [
        ("unchanged", "unchanged"),
        ("done", "10 rows"),
        ("cached", "from the cache"),
    ]
    assert rows["clean"].seconds == 2.0


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "kind", "code", "words"),
    [
        (
            event() + event(event="fail", summary="3 rows are wrong", exit_code=65),
            RatchetError,
            65,
            "clean: 3 rows are",
        ),
        (say("Running stage 'clean':", "ERROR: failed to run: x, exited with -9"), RatchetError, 75, "was killed"),
        (say("Running stage 'clean':", "ERROR: failed to run: x, exited with 137"), RatchetError, 75, "was killed"),
        (
            say("Running stage 'clean':", "ERROR: failed to run: x, exited with 127"),
            RatchetError,
            70,
            "exited with 127",
        ),
        (say("ERROR: Unable to acquire lock. Most likely another DVC"), TryAgain, 75, "another DVC command"),
        (say("ERROR: missing data 'source': digits"), StorageError, 74, "missing data 'source'"),
        (
            say("'./dvc.lock' validation failed.", "", "required key not provided"),
            StorageError,
            74,
            "remove it (`rm dvc.lock`)",
        ),
        (
            say("'./dvc.lock' is invalid.", "", "While parsing a flow node"),
            StorageError,
            74,
            "remove it (`rm dvc.lock`)",
        ),
        (say("ERROR: something new"), Bug, 70, "something new"),
    ],
)
def test_a_failure_is_one_line_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, kind: type[RatchetError], code: int, words: str
) -> None:
    with pytest.raises(kind) as caught:
        drive(tmp_path, monkeypatch, script + "raise SystemExit(1)\n")
    assert caught.value.exit_code == code
    assert words in str(caught.value)


def test_a_full_disk_is_named_where_nobody_else_could_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduction, "is_disk_full", lambda _: True)
    with pytest.raises(StorageError, match="no space left; make room"):
        drive(tmp_path, monkeypatch, "raise SystemExit(1)\n")


@pytest.mark.parametrize("is_installed", [True, False])
def test_dvc_is_given_this_program_as_its_shell_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    if is_installed:
        (binaries / "ratchet").touch()
    script = say_of("os.environ['SHELL']", "os.environ['PATH']", "os.environ['PYTHONPATH']")
    command = [sys.executable, str(tmp_path / "dvc.py")]
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    drive(tmp_path, monkeypatch, script, command)
    shell, path, code = (tmp_path / LOGS / "dvc.log").read_text().splitlines()
    assert shell == (f"{binaries}/ratchet" if is_installed else "/bin/sh")
    assert path.startswith(f"{binaries}{os.pathsep}")
    assert code == str(tmp_path)


def test_what_dvc_and_a_bug_say_goes_to_the_runs_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive(tmp_path, monkeypatch, say("x") + say_of("os.environ['RATCHET_EVIDENCE']"))
    assert (tmp_path / LOGS / "dvc.log").read_text() == f"x\n{tmp_path / LOGS}\n"


def test_a_stage_that_is_run_alone_has_its_own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive(tmp_path, monkeypatch, say("x"), order=Order(stage="clean", is_single=True))
    assert [path.name for path in (tmp_path / LOGS).iterdir()] == ["clean.log"]


def test_a_stage_that_was_killed_has_failed_and_its_time_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"clean": StageRow("clean")}
    script = say("Running stage 'clean':") + event(at_s=time.time() - 5.0) + event(event="starting", what="Spark")
    with pytest.raises(TryAgain, match="process was killed"):
        drive(tmp_path, monkeypatch, script + "os.kill(os.getpid(), 9)\n", rows=rows)
    row = rows["clean"]
    assert (row.state, row.what.partition(";")[0]) == ("failed", "DVC's process was killed")
    assert row.seconds is not None
    assert row.seconds >= 5.0
    assert row.starts[0].ended_s is not None


def test_a_stage_that_an_interruption_ended_has_failed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(row: StageRow, _: Any) -> None:
        row.begin(1.0)
        raise KeyboardInterrupt

    rows = {"clean": StageRow("clean"), "split": StageRow("split")}
    monkeypatch.setattr(reproduction, "apply_event", interrupt)
    monkeypatch.setattr(reproduction, "bring_back", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        drive(tmp_path, monkeypatch, event(), rows=rows)
    assert [(row.state, row.what) for row in rows.values()] == [("failed", "interrupted"), ("waiting", "")]


def test_a_stage_that_was_done_in_this_run_stays_so_when_dvc_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"clean": StageRow("clean", "done", "10 rows", seconds=2.0)}
    drive(tmp_path, monkeypatch, say("Stage 'clean' didn't change, skipping"), rows=rows)
    assert rows["clean"] == StageRow("clean", "done", "10 rows", seconds=2.0)


@pytest.mark.parametrize("lines", [["Running stage 'clean':", "ERROR: x, exited with 127"], ["ERROR: new"]])
def test_a_line_that_says_see_names_a_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    with pytest.raises(RatchetError, match="see ") as caught:
        drive(tmp_path, monkeypatch, say(*lines) + "raise SystemExit(1)\n")
    named = Path(str(caught.value).partition("see ")[2].split(";")[0])
    assert named == tmp_path / LOGS / "dvc.log"
    assert named.read_text().splitlines() == lines


def ordered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Have a stand-in that does nothing; return what it was ordered, once it was."""
    orders: list[Order] = []
    start = dvc_repro.start

    def noted(workspace: Path, environment: Any, log: Path, order: Order) -> subprocess.Popen[bytes]:
        orders.append(order)
        return start(workspace, environment, log, order)

    monkeypatch.setattr(dvc_repro, "start", noted)
    return orders


def test_in_a_workspace_dvcs_configuration_is_the_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = ordered(tmp_path, monkeypatch)
    drive(tmp_path, monkeypatch, "")
    write_record(tmp_path / ORIGIN_FILE, Origin(home="project", run="r1"))
    write_files(tmp_path, {"project/dvc.yaml": ""})
    drive(tmp_path, monkeypatch, "", order=Order(stage="clean"))
    assert orders == [Order(), Order(home=str(tmp_path / "project"), stage="clean")]


def test_outputs_are_brought_back_by_an_order_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = ordered(tmp_path, monkeypatch)
    (tmp_path / "dvc.py").write_text(AS_ORDERED + say("ERROR: new") + "raise SystemExit(1)\n")
    monkeypatch.setattr(dvc_repro, "_COMMAND", [sys.executable, str(tmp_path / "dvc.py")])
    with pytest.raises(Bug, match=r"see .*/runs/r1/logs/outputs\.log$"):
        reproduction.bring_back(tmp_path, os.environ, tmp_path / LOGS)
    assert orders == [Order(checks_out=True, reproduces=False)]
    assert (tmp_path / LOGS / "outputs.log").read_text() == "ERROR: new\n"


def test_after_an_interruption_outputs_are_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    back: list[Path] = []
    monkeypatch.setattr(reproduction, "apply_event", interrupt)
    monkeypatch.setattr(reproduction, "bring_back", lambda workspace, *_: back.append(workspace))
    with pytest.raises(KeyboardInterrupt):
        drive(tmp_path, monkeypatch, event() + "import time; time.sleep(3600)\n")
    assert back == [tmp_path]


def test_what_cannot_be_brought_back_never_takes_the_place_of_the_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def fail(*_: Any) -> None:
        raise StorageError("a full disk")

    monkeypatch.setattr(reproduction, "apply_event", interrupt)
    monkeypatch.setattr(reproduction, "bring_back", fail)
    with pytest.raises(KeyboardInterrupt):
        drive(tmp_path, monkeypatch, event())
    assert (
        "warning: outputs that were there before the run are not brought back: a full disk" in capsys.readouterr().err
    )


def test_a_source_that_is_gone_is_told_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "stage ingest: has to run again, but x is no longer what this run began with; bring it back as it was"
    with pytest.raises(StorageError, match=f"^{line}$"):
        drive(tmp_path, monkeypatch, say(f"ERROR: failed to reproduce 'ingest': {line}") + "raise SystemExit(1)\n")


def moving(monkeypatch: pytest.MonkeyPatch, times: int) -> list[Order]:
    """Have the champion move so many times before `register` succeeds; return what DVC was asked for each time."""
    asked: list[Order] = []

    def once(*given: Any) -> None:
        asked.append(given[-1])
        if len(asked) <= times:
            raise reproduction.StageFailed("register", "by now the champion is v3", 75)

    monkeypatch.setattr(reproduction, "_reproduce_once", once)
    return asked


def register(tmp_path: Path, publisher: str | None = "register") -> None:
    rows = {"register": StageRow("register")}
    with Console(rows.values()) as console:
        order = Order(stage="register", is_single=True, is_forced=True)
        reproduction.reproduce(tmp_path, rows, console, {}, tmp_path / LOGS, order, publisher=publisher)


def test_a_champion_that_has_moved_is_met_again_and_nothing_else_is_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = moving(monkeypatch, 1)
    register(tmp_path)
    assert asked == [Order(stage="register", is_single=True, is_forced=True), Order(stage="register")]


def test_a_champion_that_never_stands_still_is_not_met_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = moving(monkeypatch, 100)
    with pytest.raises(reproduction.StageFailed, match="by now the champion is v3"):
        register(tmp_path)
    assert len(asked) == 3


@pytest.mark.parametrize("publisher", [None, "publish"])
def test_a_stage_that_does_not_publish_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publisher: str | None
) -> None:
    asked = moving(monkeypatch, 1)
    with pytest.raises(reproduction.StageFailed, match="by now the champion is v3"):
        register(tmp_path, publisher)
    assert len(asked) == 1
