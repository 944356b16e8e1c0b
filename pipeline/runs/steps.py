"""A run in steps, each a process of its own, as Airflow drives it: open, one stage after another, close.

Between the steps the run's state is in its workspace and in `runs/<run id>/record.json`. Stages that do not depend on
each other may run in parallel: DVC keeps their paths apart. Every step can be killed and repeated: opening an open run
keeps it, DVC skips a stage that is up to date, closing twice keeps the same files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from pipeline.errors import Bug, RatchetError, TryAgain, UsageError
from pipeline.graph import Graph, load_graph
from pipeline.records.run import RunOutcome, RunRecord, State
from pipeline.runs import dvc_lock, freshness, history, out_of_memory, restoring, workspaces
from pipeline.runs.afterwards import at_the_end, warned
from pipeline.runs.champions_page import write_champions
from pipeline.runs.console import Console
from pipeline.runs.dvc_repro import Order
from pipeline.runs.locks import maker_lock, run_lock, same_work_lock, stage_lock
from pipeline.runs.outcome import NO_VERDICT, find_registration, find_verdict
from pipeline.runs.reproduction import drop_dead_locks, reproduce
from pipeline.runs.run_report import report_run
from pipeline.runs.stage_rows import StageRow
from pipeline.runtime.warm import client
from pipeline.storage.artifacts import read_json, write_json

_PATIENCE_S = 24 * 3600.0  # an earlier attempt may still be running; the task's own time-out limits this one


def run_stage(root: Path, run_id: str, stage: str) -> StageRow:
    """Bring one stage of an open run up to date; return what happened.

    If the run was over, this begins another attempt at it. Raises StageFailed with the stage's own line and exit code.
    A stage that ran out of memory gets one more try, with half the parallelism: TryAgain the first time, UsageError
    the second.
    """
    workspace = workspaces.workspace_of(root, run_id)
    with _at_work(root, run_id, stage) as (record, is_whole):
        graph = load_graph(workspace)
        has_run_out = bool(_row(workspace, stage).readings.get("out_of_memory"))
        environment = {**os.environ, **(_lighter(workspace) if has_run_out else {})}
        rows = {each.name: _row(workspace, each.name) for each in graph.stages} if not is_whole else {}
        rows[stage] = _row(workspace, stage).again()
        if has_run_out:
            print(f"{stage}: the last try ran out of memory: this one works with half the parallelism", flush=True)  # noqa: T201
        before = out_of_memory.kills()
        publisher = graph.maker("registration")
        with at_the_end(lambda: _keep_rows(workspace, rows), f"what happened in stage {stage} is not kept"):
            try:
                with Console(rows.values()) as console:
                    reproduce(
                        workspace,
                        rows,
                        console,
                        environment,
                        root / record.folder / history.LOGS,
                        Order(stage=stage, is_single=is_whole, is_forced=record.is_forced),
                        publisher=publisher.name if publisher else None,
                    )
            except RatchetError as error:
                row = rows[stage]
                row.state, row.what = "failed", str(error)
                # Any other code: the stage has reported what is wrong.
                was_ended = error.exit_code in (Bug.exit_code, TryAgain.exit_code)
                if was_ended and (out_of_memory.is_sign(str(error)) or out_of_memory.kills() > before):
                    row.readings["out_of_memory"] = 1.0
                    raise _out_of_memory(error, stage, is_second=has_run_out) from error
                raise
    return rows[stage]


def _out_of_memory(error: RatchetError, stage: str, *, is_second: bool) -> RatchetError:
    if not is_second:
        return TryAgain(f"stage {stage}: ran out of memory; the next try works with half the parallelism")
    return UsageError(
        f"stage {stage}: ran out of memory again, with half the parallelism; "
        f"give the machine more memory, or the stage less to hold at once ({error})"
    )


def _keep_rows(workspace: Path, rows: Mapping[str, StageRow]) -> None:
    for row in rows.values():
        write_json(workspace / history.ROWS / f"{row.name}.json", row.to_json())


def close_run(root: Path, run_id: str, state: State, sentence: str = "") -> RunRecord:
    """Keep the run's graph, recipe, `dvc.lock`, reports and page, and record that it is over.

    The workspace of a successful run is removed; that of a failed one is kept for as long as `execution.yaml` says.
    """
    record = history.read(root, run_id)
    workspace = workspaces.workspace_of(root, run_id)
    if record.state != "running":  # closed before: what is left to do is done, and the evidence stays as it is
        if record.state == "success" and workspace.exists():
            _end(root, record)
        return record
    client.end_all(workspace)
    if not workspace.exists():
        lost = "its workspace was removed while it ran"
        return history.write(root, record.changed(state="failed", sentence=sentence or lost, end=history.now()))
    rows: list[StageRow] = []
    with warned(f"the report on {run_id} is not whole") if state == "failed" else nullcontext():
        graph = load_graph(workspace)
        rows += [_row(workspace, stage.name) for stage in graph.stages]
        with at_the_end(lambda: report_run(workspace, rows, record), "the report is not written"):
            dvc_lock.put_in_order(workspace, graph)
    outcome, why = _outcome(workspace, load_graph(workspace)) if state == "success" else (None, "")
    if state == "failed" and not sentence:
        sentence = _why(rows)
    done = history.finish(root, workspace, record, state, outcome, sentence or why)
    if state == "success" and record.until is None:
        write_champions(root)
    if state == "success":
        _end(root, record)
    return done


def _end(root: Path, record: RunRecord) -> None:
    remember(root, record)
    workspaces.remove(root, record.id)


def remember(root: Path, record: RunRecord) -> None:
    """Record that a run is complete: the next one with the same inputs has nothing to do."""
    if record.inputs is not None and record.until is None:
        freshness.remember_run(root, record.inputs, record.id)


@contextmanager
def _at_work(root: Path, run_id: str, stage: str) -> Iterator[tuple[RunRecord, bool]]:
    """Lock a run's workspace for one stage; make it again if it is gone. Yields the record, and whether it was whole.

    A run that does the same work at the same time comes first: then its result is found in the cache.
    """
    workspace = workspaces.workspace_of(root, run_id)
    with ExitStack() as locks:
        with maker_lock(root):
            record = history.read(root, run_id)
            was_whole = workspaces.is_whole(workspace)
            if not was_whole:
                print(  # noqa: T201
                    f"workspace {record.id} is gone: made again, the stages before this one come from the cache",
                    flush=True,
                )
                restoring.remake(root, record)
            record = restoring.another_attempt(root, record)
        restoring.finish_restoring(root, record, os.environ)
        load_graph(workspace)[stage]  # raises with the nearest name
        if was_whole:
            with suppress(TryAgain), run_lock(workspace):  # no other process: remaining locks are of killed ones
                drop_dead_locks(workspace)
            locks.enter_context(stage_lock(workspace, stage, patience_s=_PATIENCE_S))
        else:
            locks.enter_context(run_lock(workspace, patience_s=_PATIENCE_S))  # until the stages before are restored
        if not record.is_forced and record.inputs is not None:
            locks.enter_context(same_work_lock(root, record.inputs, stage))
        yield record, was_whole


def _lighter(workspace: Path) -> dict[str, str]:
    from pipeline.recipe.execution import load_execution
    from pipeline.recipe.recipe import load_recipe

    return out_of_memory.less_parallel(load_execution(workspace), load_recipe(workspace).train.virtual_workers)


def _row(workspace: Path, stage: str) -> StageRow:
    path = workspace / history.ROWS / f"{stage}.json"
    return StageRow.from_json(read_json(path)) if path.is_file() else StageRow(stage)


def _why(rows: Sequence[StageRow]) -> str:
    """Return what the failed stage has said; else at which stage the run ended."""
    said = next((row.what for row in rows if row.state == "failed"), "")
    undone = next((row.name for row in rows if row.state in ("waiting", "running")), None)
    return said or (f"ended from outside before stage {undone} was done" if undone else "ended as failed from outside")


def _outcome(workspace: Path, graph: Graph) -> tuple[RunOutcome | None, str]:
    verdict = find_verdict(workspace, graph)
    if verdict is None:
        return None, "" if graph.maker("verdict") else NO_VERDICT
    if verdict.promotes and graph.maker("registration") and not find_registration(workspace, graph):
        return "rejected", f"passed the gate, but a person did not approve it: {verdict.reason}"
    return verdict.outcome, verdict.reason
