"""Drives `dvc repro`: starts it, follows its stages' events and its own output, and explains a failure in one line."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from pipeline.errors import FULL_DISK, Bug, DataError, RatchetError, StorageError, TryAgain
from pipeline.recipe.execution import load_execution
from pipeline.runs import dvc_repro, workspaces
from pipeline.runs.absent_sources import GONE
from pipeline.runs.afterwards import warned
from pipeline.runs.ahead import make_ready
from pipeline.runs.console import Console
from pipeline.runs.dvc_repro import Order
from pipeline.runs.stage_rows import StageRow, apply_event
from pipeline.runs.watched_inputs import MEANWHILE
from pipeline.runtime import processes, shell, surroundings
from pipeline.runtime.evidence import EVIDENCE_VARIABLE
from pipeline.runtime.progress import EVENTS_VARIABLE
from pipeline.runtime.warm import client
from pipeline.storage.artifacts import is_disk_full, read_json, write_json
from pipeline.storage.home import find_origin, home_of

_POLL_S = 0.03
_CHAMPION_TRIES = 3
_STAGE_LINE = re.compile(
    r"^(?:Stage|(?P<runs>Running) stage) '(?P<stage>[^']+)'(?: (?P<how>didn't change|is cached)|:)"
)
_ENDED = re.compile(r"exited with (?P<code>-?\d+)")


class StageFailed(RatchetError):
    """A stage failed; carries the stage's own line and exit code."""

    def __init__(self, stage: str, message: str, exit_code: int) -> None:
        super().__init__(f"stage {stage}: {message}")
        self.stage = stage
        self.message = message
        self.exit_code = exit_code


def reproduce(
    workspace: Path,
    rows: dict[str, StageRow],
    console: Console,
    environment: Mapping[str, str],
    logs: Path,
    order: Order,
    *,
    publisher: str | None = None,
) -> None:
    """Run `dvc repro` in `workspace` as ordered, and keep `rows` and `console` up to date until it ends.

    `logs` is the folder for what DVC and a bug say: it belongs to the run's evidence, and stays. If the champion has
    changed since the verdict, as the stage that is the `publisher` finds, only the stages that depend on it run again.
    Raises StageFailed with the stage's own line and exit code, TryAgain if DVC's lock is held. If the run does not
    succeed, outputs that the lock lists and that are gone are brought back from the cache.
    """
    order = replace(order, home=_home(workspace))
    for attempt in range(1, _CHAMPION_TRIES + 1):
        try:
            with _nothing_left_running(rows):
                _reproduce_once(workspace, rows, console, environment, logs, order)
            return
        except StageFailed as error:
            if error.stage != publisher or error.exit_code != TryAgain.exit_code or attempt == _CHAMPION_TRIES:
                raise
            order = replace(order, is_single=False, is_forced=False)


@contextmanager
def _nothing_left_running(rows: Mapping[str, StageRow]) -> Iterator[None]:
    """If the block is ended by an error, the stage that was running has failed with it, whatever it could report."""
    try:
        yield
    except BaseException as error:
        said = error.message if isinstance(error, StageFailed) else " ".join(str(error).split())
        for row in rows.values():
            if row.state == "running":
                row.end("failed", said or "interrupted", time.time())
        raise


def bring_back(workspace: Path, environment: Mapping[str, str], logs: Path) -> None:
    """Bring back the outputs that the lock lists and that are not there, as far as DVC's cache has them."""
    log = logs / "outputs.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    order = Order(home=_home(workspace), checks_out=True, reproduces=False)
    process = dvc_repro.start(workspace, _environment(workspace, environment, logs), log, order)
    try:
        process.wait()
    except BaseException:
        processes.end(process)
        raise
    if process.returncode != 0:
        raise _explained({}, log)


def _lasting(text: str, workspace: Path, logs: Path, order: Order) -> str:
    """Return a stage's line in which a report of a workspace, which will be removed, is named where it is kept."""
    if order.home is None:
        return text
    kept = logs.parent.relative_to(order.home) if logs.parent.is_relative_to(order.home) else logs.parent
    return text.replace(f"{workspace.resolve()}/reports/", f"{kept}/reports/").replace(" reports/", f" {kept}/reports/")


def _home(workspace: Path) -> str | None:
    origin = find_origin(workspace)
    return str(home_of(workspace)) if origin else None


def _environment(workspace: Path, environment: Mapping[str, str], logs: Path) -> dict[str, str]:
    binaries = Path(sys.executable).parent
    further = load_execution(workspace, environment).environment.pass_on
    return {
        **surroundings.chosen(environment, workspace, further),  # the stage's code is this workspace's
        EVIDENCE_VARIABLE: str(logs),
        "PATH": f"{binaries}{os.pathsep}{environment.get('PATH', '')}",
        "SHELL": str(own) if (own := binaries / "ratchet").is_file() else shell.SHELL,  # see there
    }


def _reproduce_once(
    workspace: Path,
    rows: dict[str, StageRow],
    console: Console,
    environment: Mapping[str, str],
    logs: Path,
    order: Order,
) -> None:
    alone = order.stage if order.is_single else None
    folder = workspaces.stage_folder(workspace, alone) if alone else workspace / workspaces.WORK
    name = f"{alone}.log" if alone else "dvc.log"
    folder.mkdir(parents=True, exist_ok=True)
    logs.mkdir(parents=True, exist_ok=True)
    events, log = folder / "events.jsonl", logs / name
    events.write_bytes(b"")
    of_stages = {**_environment(workspace, environment, logs), EVENTS_VARIABLE: str(events)}
    if not order.is_single:  # what is not one step of several ends with its own DVC
        of_stages.pop(client.ANCHOR_VARIABLE, None)
    process = dvc_repro.start(workspace, of_stages, log, order)
    failure: StageFailed | None = None
    try:
        if not order.is_single:
            make_ready(workspace, Path(order.home or workspace), of_stages, order, process.pid, logs)
        with events.open() as event_lines, log.open(errors="replace") as log_lines:
            has_ended = False
            while not has_ended:
                has_ended = process.poll() is not None  # before reading, so that the last output is still read
                for line in log_lines:
                    _note(line, rows, console)
                for event in _whole_events(event_lines):
                    if "summary" in event:
                        event["summary"] = _lasting(event["summary"], workspace, logs, order)
                    row = rows.setdefault(event["stage"], StageRow(event["stage"]))
                    apply_event(row, event)
                    console.show(row)
                    if event["event"] == "fail":
                        failure = StageFailed(event["stage"], event["summary"], event["exit_code"])
                if not has_ended:
                    time.sleep(_POLL_S)
    except BaseException:
        processes.end(process)
        with warned("outputs that were there before the run are not brought back"):
            bring_back(workspace, environment, logs)
        raise
    if process.returncode < 0:  # a signal ended DVC itself, which could bring nothing back
        with warned("outputs that were there before the run are not brought back"):
            bring_back(workspace, environment, logs)
        raise TryAgain(f"DVC's process was killed; see {log}; run again")
    if process.returncode != 0:
        raise failure or _explained(rows, log)


def drop_dead_locks(workspace: Path) -> None:
    """Remove the locks of killed DVC processes from DVC's lock file. The caller must hold the workspace's run lock.

    DVC does so itself, but takes a zombie for a living process: without an init that reaps, as in many containers, a
    killed run would block the workspace forever. A process in another container or on another host looks dead too.
    """
    path = workspace / ".dvc" / "tmp" / "rwlock"
    if not path.is_file():
        return
    try:
        locks = read_json(path)
    except DataError:  # damaged by a kill during writing: every holder is dead
        path.unlink()
        return
    living = {
        "read": {name: [i for i in infos if _is_dvc(i)] for name, infos in locks.get("read", {}).items()},
        "write": {name: info for name, info in locks.get("write", {}).items() if _is_dvc(info)},
    }
    living["read"] = {name: infos for name, infos in living["read"].items() if infos}
    if living != locks:
        write_json(path, living)


def _is_dvc(info: Mapping[str, Any]) -> bool:
    return processes.is_running(int(info["pid"]), "dvc")


def _whole_events(lines: IO[str]) -> Iterator[dict[str, Any]]:
    while True:
        position = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(position)  # half a line: the rest is read the next time
            return
        yield json.loads(line)


def _note(line: str, rows: dict[str, StageRow], console: Console) -> None:
    """Update the rows from a line of DVC's output: which stages it starts and which it skips."""
    match = _STAGE_LINE.match(line)
    if not match or match["stage"] not in rows:
        return
    row = rows[match["stage"]]
    if match["runs"]:
        row.begin(time.time())
    elif row.state != "done":  # as it is if the champion has changed, and what depends on it has to run again
        row.state = "unchanged" if match["how"] == "didn't change" else "cached"
        row.what = "unchanged" if row.state == "unchanged" else "from the cache"
    console.show(row)


def _explained(rows: Mapping[str, StageRow], log: Path) -> RatchetError:
    """Explain in one line a failure that no stage has reported."""
    if is_disk_full(log.parent):  # then neither a stage nor DVC could report it
        return StorageError(f"{log.parent}: {FULL_DISK}")
    text = log.read_text(errors="replace")
    ended = _ENDED.search(text)
    for row in rows.values():
        if row.state == "running" and ended:
            code = int(ended["code"])
            if code < 0 or code > 128:  # how subprocess, or a shell, encodes a signal
                return StageFailed(row.name, f"its process was killed; see {log}; run again", TryAgain.exit_code)
            return StageFailed(row.name, f"its process exited with {code} without a message; see {log}", Bug.exit_code)
    errors = [line.removeprefix("ERROR: ").strip() for line in text.splitlines()]
    errors = [line for line in errors if line]
    last = errors[-1] if errors else "it said nothing"
    if any("dvc.lock' validation failed" in line or "dvc.lock' is invalid" in line for line in errors):
        return StorageError(
            "dvc.lock: damaged, or with marks of a merge; remove it (`rm dvc.lock`), then run again: "
            "what was computed comes from the cache"
        )
    for line in errors:
        if "Unable to acquire lock" in line or "is busy" in line:
            return TryAgain("another DVC command is running in this folder; wait for it, then run again")
        if MEANWHILE in line:
            return TryAgain(line.partition("': ")[2])
        if GONE in line:
            return StorageError(line.partition("': ")[2])  # without DVC's "failed to reproduce 'ingest'"
        if "missing data" in line or "does not exist" in line:
            return StorageError(f"dvc: {line}")
    return Bug(f"dvc repro failed: {last}; see {log}")
