"""The runs so far: each has a folder `runs/<run id>/` with its record, whatever drove it.

A record is written when a run begins and again when it ends, after its graph, recipe, `dvc.lock` and reports have been
copied beside it: a record that says that the run is over is the last thing written. What a finished run has left is
never written over: if it is opened again, that attempt has a folder of its own, `runs/<run id>/attempts/2/` and so on.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pipeline.errors import RatchetError, StorageError, UsageError, nearest
from pipeline.graph import GRAPH_FILE, LOCK_FILE
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.run import ATTEMPTS, CHAMPIONS_FILE, PAGE_FILE, RECORD_FILE, RUNS, RunOutcome, RunRecord, State
from pipeline.runs.afterwards import warned
from pipeline.runtime import processes
from pipeline.storage.record_files import read_record, write_record

ROWS = Path(".ratchet") / "rows"  # in a run's workspace: what happened in each stage so far
LOGS = "logs"  # in an attempt's folder: what DVC and the stages have said
BEGUN_WITH = (GRAPH_FILE, PARAMS_FILE)  # kept once, and the graph says which report is which
_KEPT = (*BEGUN_WITH, LOCK_FILE, "reports")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
_READABLE = 80  # characters of a foreign id that stay readable in ours


def now() -> str:
    """Return the time in UTC, in the format of records."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_id(root: Path) -> str:
    """Return an id for a run that begins now: the time and this process's id, and a number if that is taken."""
    base = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    number = 0
    while (root / RUNS / (name := f"{base}-{number}" if number else base)).exists():
        number += 1
    return name


def id_for(*foreign: str) -> str:
    """Return the id of a run that another system names (a DAG and its run): readable, and the same every time.

    Characters that a folder's name cannot contain are replaced; a digest of the names keeps the ids distinct.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(foreign))[:_READABLE].strip("-._")
    digest = sha256("\0".join(foreign).encode()).hexdigest()[:10]
    return f"{readable}-{digest}" if readable else f"run-{digest}"


def is_id(name: str) -> bool:
    """Return whether a name can be a run's id."""
    return _ID.fullmatch(name) is not None


def check_id(run_id: str) -> str:
    """Return the id if it can name a run's folder; raise UsageError otherwise."""
    if not is_id(run_id):
        raise UsageError(f"run id {run_id!r:.80}: letters, digits, '.', '_' and '-' only, at most 151 characters")
    return run_id


def write(root: Path, record: RunRecord) -> RunRecord:
    """Publish a record."""
    write_record(root / record.folder / RECORD_FILE, record)
    return record


def read(root: Path, run_id: str) -> RunRecord:
    """Return the record of a run's latest attempt; raise UsageError with the nearest id if there is none."""
    record = find(root, run_id)
    if record is None:
        raise UsageError(f"no run '{run_id}'{nearest(run_id, _ids(root)[:20])}")
    return record


def find(root: Path, run_id: str) -> RunRecord | None:
    """Return the record of a run's latest attempt; None if there is no such run."""
    attempts = attempts_of(root, run_id)
    return attempts[-1] if attempts else None


def attempts_of(root: Path, run_id: str) -> list[RunRecord]:
    """Return the records of all attempts at a run, the first one first."""
    folder = root / RUNS / check_id(run_id)
    numbers = [int(path.name) for path in (folder / ATTEMPTS).glob("*") if path.name.isdecimal()]
    folders = [folder, *(folder / ATTEMPTS / str(number) for number in sorted(numbers))]
    return [_current(_from_json(each / RECORD_FILE)) for each in folders if (each / RECORD_FILE).is_file()]


def list_runs(root: Path) -> list[RunRecord]:
    """Return the record of each run's latest attempt, newest first.

    A run whose process was killed is returned as failed, whatever its record. One whose record is damaged is left out,
    with a warning.
    """
    records = []
    for name in _ids(root):
        with warned(f"run {name} is left out"):
            records.append(attempts_of(root, name)[-1])
    return sorted(records, key=lambda record: (record.start, record.id), reverse=True)


def finish(
    root: Path, workspace: Path, record: RunRecord, state: State, outcome: RunOutcome | None = None, sentence: str = ""
) -> RunRecord:
    """Keep a run's graph, recipe, `dvc.lock` and reports, then record that it is over."""
    keep(root, workspace, record)
    return write(root, record.changed(state=state, outcome=outcome, sentence=sentence, end=now(), pid=None))


def keep(root: Path, workspace: Path, record: RunRecord) -> Path:
    """Copy a run's graph, recipe, `dvc.lock` and reports to the folder of its attempt, and return that folder.

    Graph and recipe stay what the attempt began with, if they are there: in place, the user may have edited them since.
    """
    kept = root / record.folder
    aside = kept / ".partial"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name in _KEPT:
            if name in BEGUN_WITH and (kept / name).is_file():
                continue
            source = workspace / name
            if name == LOCK_FILE and not _is_readable(source):
                continue  # evidence of nothing, and in the way of whoever looks what runs need
            if source.is_dir():
                shutil.copytree(source, aside / name)
                _forward(aside / CHAMPIONS_FILE, os.path.relpath(root / CHAMPIONS_FILE, (kept / PAGE_FILE).parent))
            elif source.exists():
                shutil.copy2(source, aside / name)
            if (kept / name).is_dir():  # kept by an earlier try to close the same attempt
                shutil.rmtree(kept / name)
            if (aside / name).exists():
                (aside / name).rename(kept / name)
    except OSError as error:
        raise StorageError(f"{kept}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return kept


def _forward(page: Path, address: str) -> None:
    """Write a page that leads on to the project's page of the champions, which a link of a kept page means.

    A copy would be out of date with the next run, and its own links would lead nowhere.
    """
    page.write_text(
        '<!doctype html><meta charset="utf-8"><title>Champions</title>'
        f'<meta http-equiv="refresh" content="0; url={address}"><a href="{address}">Champions</a>\n'
    )


def _is_readable(lock: Path) -> bool:
    try:
        parse_yaml(lock)
    except RatchetError:
        return False
    return True


def _ids(root: Path) -> list[str]:
    return [name for path in (root / RUNS).glob(f"*/{RECORD_FILE}") if is_id(name := path.parent.name)]


def _from_json(path: Path) -> RunRecord:
    try:
        return read_record(path, RunRecord)
    except RatchetError as error:
        raise StorageError(f"{path}: not a run's record; remove {path.parent} if it is in the way") from error


def _current(record: RunRecord) -> RunRecord:
    if record.state == "running" and record.pid is not None and not processes.is_running(record.pid, "run"):
        return record.changed(state="failed", sentence="its process was killed")
    return record
