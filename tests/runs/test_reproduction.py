"""What DVC says, and does not say, becomes rows and one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Bug, RatchetError, StorageError, TryAgain
from pipeline.runs import dvc_repro, reproduction
from pipeline.runs.console import Console
from pipeline.runs.stage_rows import StageRow

AS_ORDERED = "import json, sys\nfrom pipeline.runs import dvc_repro\ndvc_repro._become(json.load(sys.stdin))\n"
EVENT = {"stage": "clean", "event": "begin", "at_s": 1.0}


def drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, command: list[str] | None = None, **what: Any
) -> dict[str, StageRow]:
    """Follow a stand-in for DVC that prints what DVC prints: DVC itself runs in tests/system/."""
    stand_in = tmp_path / "dvc.py"
    stand_in.write_text(AS_ORDERED + script)
    monkeypatch.setattr(dvc_repro, "_COMMAND", command or [sys.executable, str(stand_in)])
    rows = {name: StageRow(name) for name in ("ingest", "clean", "split")}
    with Console(rows.values()) as console:
        reproduction.reproduce(tmp_path, rows, console, os.environ, **what)
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
        (say("'./dvc.lock' validation failed.", "", "required key not provided"), StorageError, 74, "git checkout"),
        (say("'./dvc.lock' is invalid.", "", "While parsing a flow node"), StorageError, 74, "git checkout"),
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
    shell, path, code = (tmp_path / ".ratchet" / "dvc.log").read_text().splitlines()
    assert shell == (f"{binaries}/ratchet" if is_installed else "/bin/sh")
    assert path.startswith(f"{binaries}{os.pathsep}")
    assert code == str(tmp_path)


def test_a_stage_that_is_run_alone_has_its_own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive(tmp_path, monkeypatch, say("x"), stage="clean", is_single=True)
    assert (tmp_path / ".ratchet" / "stages" / "clean" / "dvc.log").read_text() == "x\n"
    assert not (tmp_path / ".ratchet" / "dvc.log").exists()


def moving(monkeypatch: pytest.MonkeyPatch, times: int) -> list[dict[str, Any]]:
    """Have the champion move so many times before `register` succeeds; return what DVC was asked for each time."""
    asked: list[dict[str, Any]] = []

    def once(*_: Any, **what: Any) -> None:
        asked.append(what)
        if len(asked) <= times:
            raise reproduction.StageFailed("register", "by now the champion is v3", 75)

    monkeypatch.setattr(reproduction, "_reproduce_once", once)
    return asked


def register(tmp_path: Path, publisher: str | None = "register") -> None:
    rows = {"register": StageRow("register")}
    with Console(rows.values()) as console:
        reproduction.reproduce(
            tmp_path, rows, console, {}, publisher=publisher, stage="register", is_single=True, is_forced=True
        )


def test_a_champion_that_has_moved_is_met_again_and_nothing_else_is_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = moving(monkeypatch, 1)
    register(tmp_path)
    assert asked == [
        {"stage": "register", "is_single": True, "is_forced": True},
        {"stage": "register", "is_single": False, "is_forced": False},
    ]


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
