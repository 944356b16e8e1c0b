"""The runs so far: each has a folder `runs/<run id>/` with its record, whoever drove it.

A record is written when a run begins and again when it ends, after its recipe, its `dvc.lock` and its reports have been
kept beside it: a record that says that the run is over is the last thing written.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pipeline import processes
from pipeline.artifacts import read_json, write_json
from pipeline.errors import RatchetError, StorageError, UsageError, nearest
from pipeline.graph import PARAMS_FILE
from pipeline.lockfile import LOCK_FILE

RUNS = "runs"
RECORD = "record.json"
ROWS = Path(".ratchet") / "rows"  # in a run's worktree: what happened in each stage so far
_KEPT = (PARAMS_FILE, LOCK_FILE, "reports")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
_READABLE = 80  # characters of a foreign id that stay readable in ours

Driver = Literal["airflow", "ratchet"]
State = Literal["running", "success", "failed"]
Outcome = Literal["promote", "refuse", "rejected", "unchanged"]


@dataclass(frozen=True)
class Record:
    """What is known of one run.

    `outcome` is the verdict, or `rejected` where a person has said no to a passing verdict, or `unchanged` where there
    was nothing to do. `sentence` says why. `same_as` is the earlier run that an unchanged one found standing.
    """

    id: str
    driver: Driver
    state: State
    start: str
    outcome: Outcome | None = None
    end: str | None = None
    sentence: str = ""
    config: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    asked_by: str = ""
    is_forced: bool = False
    same_as: str | None = None
    pid: int | None = None

    @property
    def folder(self) -> str:
        """Where the run is kept, relative to the project."""
        return f"{RUNS}/{self.id}"

    def to_json(self) -> dict[str, Any]:
        """Return the record as `ratchet runs list --json` gives it."""
        first = {key: getattr(self, key) for key in ("id", "driver", "state", "outcome", "start", "folder")}
        return first | asdict(self)


def now() -> str:
    """Return the time in UTC, as records hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_id(root: Path) -> str:
    """Return an id for a run that begins now: the time and this process, and a number where that is taken."""
    base = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    number = 0
    while (root / RUNS / (name := f"{base}-{number}" if number else base)).exists():
        number += 1
    return name


def id_for(*foreign: str) -> str:
    """Return the id of a run that another system names (a DAG and its run): readable, and the same every time.

    What a folder's name cannot hold is replaced; a digest of the names keeps ids apart that would then be equal.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(foreign))[:_READABLE].strip("-._")
    digest = sha256("\0".join(foreign).encode()).hexdigest()[:10]
    return f"{readable}-{digest}" if readable else f"run-{digest}"


def check_id(run_id: str) -> str:
    """Return the id if it can name a run's folder; raise UsageError otherwise."""
    if not _ID.fullmatch(run_id):
        raise UsageError(f"run id {run_id!r:.80}: letters, digits, '.', '_' and '-' only, at most 151 characters")
    return run_id


def write(root: Path, record: Record) -> Record:
    """Publish a record."""
    write_json(root / record.folder / RECORD, asdict(record))
    return record


def read(root: Path, run_id: str) -> Record:
    """Return a run's record; raise UsageError with the nearest id if there is none."""
    path = root / RUNS / check_id(run_id) / RECORD
    if not path.is_file():
        raise UsageError(f"no run '{run_id}'{nearest(run_id, _ids(root)[:20])}")
    return _from_json(path)


def list_runs(root: Path) -> list[Record]:
    """Return all records, newest first. A run whose process was killed has failed, though nobody could write it."""
    records = [_seen(_from_json(root / RUNS / name / RECORD)) for name in _ids(root)]
    return sorted(records, key=lambda record: (record.start, record.id), reverse=True)


def finish(
    root: Path, place: Path, record: Record, state: State, outcome: Outcome | None = None, sentence: str = ""
) -> Record:
    """Keep a run's recipe, `dvc.lock` and reports, then write that it is over."""
    keep(root, place, record.id)
    return write(root, replace(record, state=state, outcome=outcome, sentence=sentence, end=now(), pid=None))


def keep(root: Path, place: Path, run_id: str) -> Path:
    """Copy a run's recipe, `dvc.lock` and reports to `runs/<run id>/` and return that folder."""
    kept = root / RUNS / run_id
    aside = kept / ".partial"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name in _KEPT:
            source = place / name
            if source.is_dir():
                shutil.copytree(source, aside / name)
            elif source.exists():
                shutil.copy2(source, aside / name)
            if (kept / name).is_dir():  # kept by an earlier try of the same run
                shutil.rmtree(kept / name)
            if (aside / name).exists():
                (aside / name).rename(kept / name)
    except OSError as error:
        raise StorageError(f"{kept}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return kept


def _ids(root: Path) -> list[str]:
    return [path.parent.name for path in (root / RUNS).glob(f"*/{RECORD}")]


def _from_json(path: Path) -> Record:
    try:
        return Record(**read_json(path))
    except (TypeError, RatchetError) as error:
        raise StorageError(f"{path}: not a run's record; remove {path.parent} if it is in the way") from error


def _seen(record: Record) -> Record:
    if record.state == "running" and record.pid is not None and not processes.is_running(record.pid, "run"):
        return replace(record, state="failed", sentence="its process was killed")
    return record
