"""`ratchet run`: one process drives a whole run, in place or in a worktree of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.graph import GRAPH_FILE, Graph, load_graph, parse_graph
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord, RunRequest
from pipeline.records.verdict import Verdict
from pipeline.runs import freshness, history, workspaces
from pipeline.runs.afterwards import at_the_end, warned
from pipeline.runs.console import Console
from pipeline.runs.locks import run_lock
from pipeline.runs.outcome import NO_VERDICT, find_registration, verdict_of
from pipeline.runs.preflight import champion_now, check_before
from pipeline.runs.reproduction import drop_dead_locks, reproduce
from pipeline.runs.run_report import PAGE, report_run
from pipeline.runs.stage_rows import StageRow


@dataclass(frozen=True)
class RunOptions:
    """The options of `ratchet run`: changes to the recipe (values by dotted key) and the execution (texts by key)."""

    config: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, str] = field(default_factory=dict)
    is_forced: bool = False

    @property
    def has_own_recipe(self) -> bool:
        """Whether the run needs a recipe, and so a worktree, of its own."""
        return bool(self.config or self.overrides)


@dataclass(frozen=True)
class RunResult:
    """The result of a run. `page` is the page that says why; there is no verdict if no stage makes one."""

    is_unchanged: bool
    verdict: Verdict | None
    registration: Registration | None
    page: Path


def run(root: Path, request: RunOptions) -> RunResult:
    """Bring the graph up to date: in place, or in a worktree if the run has a recipe of its own.

    Raises UsageError before anything is written if the recipe, the execution or the set-up is wrong; StageFailed with
    the stage's own line and exit code; TryAgain if another run is using the same workspace.
    """
    from pipeline.recipe.execution import as_variables
    from pipeline.recipe.resolving import load_checked

    environment = {**os.environ, **as_variables(request.execution)}
    if request.has_own_recipe:
        return _run_in_worktree(root, request, environment)
    with run_lock(root):
        recipe = load_checked(root)
        champion = champion_now(root, recipe.name, environment)
        graph = load_graph(root)
        is_current, champion_then = freshness.remembered_champion(root, graph)
        is_current = is_current and champion_then == champion and not request.is_forced
        if is_current and (root / PAGE).is_file():
            return _outcome(root, graph, is_unchanged=True)
        check_before(root, graph, recipe, environment)
        started = RunRecord(
            id=history.new_id(root), driver="ratchet", state="running", start=history.now(), pid=os.getpid()
        )
        with _recorded(root, root, graph, started) as record:
            _drive(root, graph, environment, record, is_forced=request.is_forced)
            freshness.remember(root, graph, champion_now(root, recipe.name, environment))
        return _outcome(root, graph, is_unchanged=False)


def _run_in_worktree(root: Path, request: RunOptions, environment: dict[str, str]) -> RunResult:
    from pipeline.runs import opening, steps

    run_request = RunRequest(
        id=history.new_id(root),
        driver="ratchet",
        config=os.path.relpath(request.config, root) if request.config else "",
        overrides=dict(request.overrides),
        is_forced=request.is_forced,
    )
    record = opening.open_run(root, run_request, environment)
    if record.same_as is not None:  # of that run only what decided its result is known to stand here unchanged
        graph = parse_graph(parse_yaml(root / GRAPH_FILE), parse_yaml(root / record.folder / PARAMS_FILE))
        return _outcome(root / record.folder, graph, is_unchanged=True)
    workspace = workspaces.workspace_of(root, record.id)
    with at_the_end(lambda: workspaces.remove(root, workspace), f"{workspace} is not removed"):
        graph = load_graph(workspace)
        with run_lock(workspace), _recorded(root, workspace, graph, record.changed(pid=os.getpid())):
            _drive(workspace, graph, environment, record, is_forced=record.is_forced)
            steps.remember(root, workspace, record.id, environment)
    return _outcome(root / record.folder, graph, is_unchanged=False)


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
    verdict = verdict_of(workspace, graph)
    outcome, why = (verdict.outcome, verdict.reason) if verdict else (None, NO_VERDICT)
    history.finish(root, workspace, record, "success", outcome, why)


def _drive(
    workspace: Path, graph: Graph, environment: Mapping[str, str], record: RunRecord, *, is_forced: bool = False
) -> None:
    freshness.forget(workspace)
    drop_dead_locks(workspace)
    rows = {stage.name: StageRow(stage.name) for stage in graph.stages}
    publisher = graph.maker("registration")
    report = at_the_end(lambda: report_run(workspace, rows.values(), record), f"{PAGE} is not written")
    with Console(rows.values()) as console, report:
        reproduce(
            workspace,
            rows,
            console,
            environment,
            publisher=publisher.name if publisher else None,
            is_forced=is_forced,
        )
    console.finish()


def _outcome(folder: Path, graph: Graph, *, is_unchanged: bool) -> RunResult:
    return RunResult(is_unchanged, verdict_of(folder, graph), find_registration(folder, graph), folder / PAGE)
