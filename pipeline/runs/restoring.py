"""Makes a run's workspace again: from its own photograph, with the outputs that its own lock lists.

So a finished run can be opened again, and a run of another machine repeated. What was computed comes back from DVC's
cache; what the cache has not is computed again; the source is only needed for that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.graph import LOCK_FILE
from pipeline.records.origin import Origin
from pipeline.records.run import RUN_REPORT_FILE, RunRecord, RunReport
from pipeline.runs import dvc_lock, history, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.locks import maker_lock, run_lock
from pipeline.runs.photograph_store import PhotographStore
from pipeline.runs.reproduction import bring_back
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.artifacts import write_json
from pipeline.storage.record_files import find_record

_TO_DO = Path(".ratchet") / "outputs_to_bring_back"
_REPORTS = "reports"


def open_again(root: Path, record: RunRecord, environment: Mapping[str, str]) -> RunRecord:
    """Open a run again that has a photograph; return its record. If it was over, that is another attempt."""
    with maker_lock(root):
        record = history.read(root, record.id)
        if not workspaces.is_whole(workspaces.workspace_of(root, record.id)):
            remake(root, record)
        record = another_attempt(root, record)
    finish_restoring(root, record, environment)
    return record


def another_attempt(root: Path, record: RunRecord) -> RunRecord:
    """Return the record of a run that goes on: if it was over, that of another attempt; the evidence so far stays.

    The caller holds the maker's lock, and the workspace is there.
    """
    if record.state == "running":
        return record
    again = record.changed(
        state="running", attempt=record.attempt + 1, start=history.now(), end=None, outcome=None, sentence=""
    )
    history.write(root, again)
    history.keep(root, workspaces.workspace_of(root, record.id), again)
    return again


def repeat(root: Path, record: RunRecord, environment: Mapping[str, str]) -> RunRecord:
    """Open a new run that begins with another one's photograph and outputs; return its record."""
    new = RunRecord(
        id=history.new_id(root),
        driver="ratchet",
        state="running",
        start=history.now(),
        sentence="",
        config=record.config,
        overrides=record.overrides,
        photograph=record.photograph,
        inputs=record.inputs,
        commit=record.commit,
        is_dirty=record.is_dirty,
        until=record.until,
        repeats=record.id,
        device=record.device,
        pid=os.getpid(),
    )
    with maker_lock(root):
        remake(root, new)
        history.write(root, new)
        history.keep(root, workspaces.workspace_of(root, new.id), new)
    finish_restoring(root, new, environment)
    return new


def remake(root: Path, record: RunRecord) -> None:
    """Make a run's workspace again; the caller holds the maker's lock. Its outputs are brought back later.

    Raises StorageError if there is no photograph of the run, or it is no longer whole.
    """
    if record.photograph is None:
        raise StorageError(
            f"run {record.id}: its workspace is gone and there is no photograph to make it from; start a new run"
        )
    store = PhotographStore(cache_of(root))
    evidence = _evidence_of(root, record)
    photograph = store.read(record.photograph)
    lock = evidence / LOCK_FILE if evidence else None
    extra = {str(_TO_DO): b"", **dvc_lock.known(dvc_lock.stage_names(lock.read_text()))} if lock else {}
    workspaces.make(root, record.id, store, photograph, Origin.of(record), lock=lock, extra=extra)


def finish_restoring(root: Path, record: RunRecord, environment: Mapping[str, str]) -> None:
    """Bring back the outputs of a workspace that was made again, and what the run's evidence holds beside them."""
    workspace = workspaces.workspace_of(root, record.id)
    if not (workspace / _TO_DO).is_file():
        return
    with run_lock(workspace, patience_s=float("inf")):
        if not (workspace / _TO_DO).is_file():
            return  # another process has done it
        bring_back(workspace, environment, root / record.folder / history.LOGS)
        if evidence := _evidence_of(root, record):
            _copy_missing(evidence / _REPORTS, workspace / _REPORTS)
            _write_rows(evidence, workspace)
        (workspace / _TO_DO).unlink()


def _evidence_of(root: Path, record: RunRecord) -> Path | None:
    """Return the folder of the latest attempt that is over and has left a lock, here or at the run repeated, if any."""
    runs = [record.repeats, record.id] if record.repeats else [record.id]
    over = [one for run_id in runs for one in history.attempts_of(root, run_id) if one.state != "running"]
    folders = [root / attempt.folder for attempt in over]
    return next((folder for folder in reversed(folders) if (folder / LOCK_FILE).is_file()), None)


def _copy_missing(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        copy = target / path.relative_to(source)
        if path.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _write_rows(evidence: Path, workspace: Path) -> None:
    report = find_record(evidence / RUN_REPORT_FILE, RunReport)
    for stage in report.stages if report else ():
        row = StageRow(stage.name, state="unchanged", what=stage.what)
        write_json(workspace / history.ROWS / f"{stage.name}.json", row.to_json())
