"""`ratchet run`: one process drives a whole run, in place or in a workspace of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import TryAgain
from pipeline.graph import Graph, load_graph
from pipeline.recipe.recipe import leaves_device_open
from pipeline.recipe.settings import validate
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord, RunRequest
from pipeline.records.verdict import Verdict
from pipeline.runs import dvc_lock, dvc_repro, freshness, history, workspaces
from pipeline.runs.afterwards import at_the_end, warned
from pipeline.runs.champions_page import write_champions
from pipeline.runs.console import Console
from pipeline.runs.dvc_repro import Order
from pipeline.runs.locks import run_lock, same_work_lock
from pipeline.runs.mirroring import bring_and_say
from pipeline.runs.outcome import NO_VERDICT, find_registration, stopped_after, verdict_of
from pipeline.runs.reproduction import drop_dead_locks, reproduce
from pipeline.runs.run_report import PAGE, report_run
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.artifacts import write_file

_TRIES = 3


@dataclass(frozen=True)
class RunOptions:
    """The options of `ratchet run`: changes to the recipe (values by dotted key) and the execution (texts by key).

    `until` is the last stage to run; None runs all.
    """

    config: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, str] = field(default_factory=dict)
    is_forced: bool = False
    until: str | None = None

    @property
    def has_own_recipe(self) -> bool:
        """Whether the run needs a recipe, and so a workspace, of its own."""
        return bool(self.config or self.overrides)


@dataclass(frozen=True)
class RunResult:
    """The result of a run. `page` is the page that says why; there is no verdict if no stage makes one.

    `sentence` says how far a run came that was to stop before the end.
    """

    is_unchanged: bool
    verdict: Verdict | None
    registration: Registration | None
    page: Path
    sentence: str = ""


def run(root: Path, options: RunOptions) -> RunResult:
    """Bring the graph up to date: in place, or in a workspace if the run's recipe is another than `params.yaml`.

    Raises UsageError before anything is written if the recipe, the execution or the set-up is wrong; StageFailed with
    the stage's own line and exit code; TryAgain if another run is using the same workspace.
    """
    from pipeline.recipe.execution import as_variables

    environment = {**os.environ, **as_variables(options.execution)}
    bring_and_say(root, os.path.relpath(options.config, root) if options.config else None, options.overrides)
    has_own_recipe = options.has_own_recipe or leaves_device_open(root)
    return (_run_in_workspace if has_own_recipe else _run_in_place)(root, options, environment)


def _run_in_place(root: Path, options: RunOptions, environment: dict[str, str]) -> RunResult:
    from pipeline.recipe.resolving import load_checked

    with run_lock(root):
        graph = load_graph(root)
        if options.until is None and not options.is_forced and freshness.is_as_remembered(root, graph):
            name = load_checked(root).name
            if (root / PAGE).is_file() and freshness.is_still(root, root, graph, name, environment):
                return RunResult(True, verdict_of(root, graph), find_registration(root, graph), root / PAGE)
        with dvc_repro.loading(), _photographed_alone(root, options, environment) as record:
            graph = load_graph(root)
            with _recorded(root, root, graph, record):
                _drive(root, root, graph, environment, record)
                if options.until is None:
                    freshness.remember(root, graph)
        return _outcome(root, record, root, graph)


@contextmanager
def _photographed_alone(root: Path, options: RunOptions, environment: dict[str, str]) -> Iterator[RunRecord]:
    """Check what the run begins with, and keep a photograph of it; yield the record of a run in place.

    While it waited for a run that does the same work, the files may have become others: then it begins anew.
    """
    from pipeline.runs import opening

    request = _request(root, options)
    for _ in range(_TRIES):
        prepared = opening.prepare(root, request, environment, is_in_place=True)
        record = opening.record_of(prepared).changed(pid=os.getpid())
        with _alone_with(root, record):
            if not opening.is_still_so(root, record):
                continue
            store = opening.keep_photograph(root, prepared)
            for name in history.BEGUN_WITH:
                write_file(root / record.folder / name, store.content(prepared.taken.photograph, name))
            yield record
            return
    raise TryAgain("the project's files change again and again while this run waits to begin; run again")


def _run_in_workspace(root: Path, options: RunOptions, environment: dict[str, str]) -> RunResult:
    from pipeline.runs import opening

    request = _request(root, options)
    prepared = opening.prepare(root, request, environment)
    with _alone_with(root, opening.record_of(prepared)):
        record = opening.begin(root, prepared, environment, pid=os.getpid())
        if record.same_as is not None:  # of that run only what decided its result is known to stand here unchanged
            folder = root / record.folder
            return _outcome(root, record, folder, load_graph(folder), is_unchanged=True)
        return drive_in_workspace(root, record, environment)


def _request(root: Path, options: RunOptions) -> RunRequest:
    values = {
        "id": history.new_id(root),
        "driver": "ratchet",
        "config": os.path.relpath(options.config, root) if options.config else "",
        "overrides": dict(options.overrides),
        "is_forced": options.is_forced,
        "until": options.until,
    }
    return validate(RunRequest, values, "ratchet run")


def repeat(root: Path, run_id: str, remote: str | None, execution: Mapping[str, str]) -> RunResult:
    """Make a run again from its photograph, in a run of its own; what is not here comes from DVC's remote.

    What was computed then is not computed again. Raises UsageError or StorageError if something needed is nowhere.
    """
    from pipeline.recipe.execution import as_variables
    from pipeline.runs import remote as remotes
    from pipeline.runs import restoring

    environment = {**os.environ, **as_variables(execution)}
    earlier = history.read(root, run_id)
    if earlier.photograph is not None and not remotes.is_here(root, earlier):
        remotes.pull(root, earlier, remote)
    with _alone_with(root, earlier):
        return drive_in_workspace(root, restoring.repeat(root, earlier, environment), environment)


def drive_in_workspace(root: Path, record: RunRecord, environment: Mapping[str, str]) -> RunResult:
    """Drive an open run to its end. The workspace of a run that fails stays for as long as execution.yaml says."""
    from pipeline.runs import steps

    workspace = workspaces.workspace_of(root, record.id)
    graph = load_graph(workspace)
    record = record.changed(pid=os.getpid())
    in_order = at_the_end(lambda: dvc_lock.put_in_order(workspace, graph), "dvc.lock is not in order")
    with run_lock(workspace), _recorded(root, workspace, graph, record), in_order:
        _drive(root, workspace, graph, environment, record)
    steps.remember(root, record)
    workspaces.remove(root, record.id)
    return _outcome(root, record, root / record.folder, graph)


@contextmanager
def _alone_with(root: Path, record: RunRecord) -> Iterator[None]:
    """Let no other run do the same work at the same time, unless this one is to do it in any case."""
    with ExitStack() as locks:
        if not record.is_forced and record.inputs is not None:
            locks.enter_context(same_work_lock(root, record.inputs))
        yield


@contextmanager
def _recorded(root: Path, workspace: Path, graph: Graph, record: RunRecord) -> Iterator[RunRecord]:
    """Write the run's record when the block begins; when it ends, keep the run and write its outcome."""
    history.write(root, record)
    try:
        yield record
    except (Exception, KeyboardInterrupt) as error:
        sentence = " ".join(str(error).split())
        if not sentence:
            sentence = "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
        with warned(f"{record.folder} does not say that the run failed"):
            history.finish(root, workspace, record, "failed", sentence=sentence)
        raise
    if workspace == root:
        record = _true_of(root, record)
    if record.until is not None:
        sentence = stopped_after(workspace, graph, record.until)
        history.finish(root, workspace, record, "success", sentence=sentence)
        return
    verdict = verdict_of(workspace, graph)
    outcome, why = (verdict.outcome, verdict.reason) if verdict else (None, NO_VERDICT)
    history.finish(root, workspace, record, "success", outcome, why)
    write_champions(root)


def _true_of(root: Path, record: RunRecord) -> RunRecord:
    """Return the record of a run in place without its photograph, if the files have changed while the run worked."""
    from pipeline.runs import opening

    if opening.is_still_so(root, record):
        return record
    print(  # noqa: T201
        "warning: files have changed while the run worked: it cannot be repeated, and the next run looks for itself",
        file=sys.stderr,
    )
    return record.changed(photograph=None, inputs=None)


def _drive(root: Path, workspace: Path, graph: Graph, environment: Mapping[str, str], record: RunRecord) -> None:
    freshness.forget(workspace)
    drop_dead_locks(workspace)
    rows = {stage.name: StageRow(stage.name) for stage in graph.stages}
    publisher = graph.maker("registration")
    report = at_the_end(lambda: report_run(workspace, rows.values(), record), f"{PAGE} is not written")
    order = Order(
        stage=record.until,
        is_forced=record.is_forced,
        picture=str(freshness.CLEAN) if workspace == root and record.until is None else None,
    )
    with Console(rows.values()) as console, report:
        reproduce(
            workspace,
            rows,
            console,
            environment,
            root / record.folder / history.LOGS,
            order,
            publisher=publisher.name if publisher else None,
        )
    console.finish()


def _outcome(root: Path, record: RunRecord, folder: Path, graph: Graph, *, is_unchanged: bool = False) -> RunResult:
    if record.until is not None:
        sentence = history.read(root, record.id).sentence
        return RunResult(is_unchanged, None, None, folder / PAGE, sentence)
    return RunResult(is_unchanged, verdict_of(folder, graph), find_registration(folder, graph), folder / PAGE)
