"""`ratchet run`: in place or in a worktree of its own, what is checked before, and what is told and kept after."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import freshness, workspace
from pipeline.artifacts import read_json, write_json
from pipeline.console import Console, StageRow
from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.graph import Graph, load_graph
from pipeline.reproduction import StageFailed, reproduce

VERDICT = Path("reports") / "verdict.json"
REGISTRATION = Path("reports") / "registration.json"
RUN_REPORT = Path("reports") / "run.json"
PAGE = Path("reports") / "index.html"
_CHAMPION_TRIES = 3


@dataclass(frozen=True)
class Request:
    """What was asked of one run: changes to the recipe and to the execution, `key → text`."""

    config: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    execution: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_own_recipe(self) -> bool:
        """Say whether the run needs a recipe, and so a worktree, of its own."""
        return bool(self.config or self.overrides)


@dataclass(frozen=True)
class Outcome:
    """What came of a run. `page` is where a person reads why."""

    is_unchanged: bool
    verdict: Mapping[str, Any]
    registration: Mapping[str, Any]
    page: Path


def run(root: Path, request: Request) -> Outcome:
    """Bring the graph up to date: in place, or in a worktree when the run has a recipe of its own.

    Raises UsageError before anything is written if the recipe, the execution or the set-up is wrong, StageFailed with
    the stage's own line and exit code, and TryAgain if another run works in the same place.
    """
    from pipeline.execution import as_variables
    from pipeline.params import load_recipe

    environment = {**os.environ, **as_variables(request.execution)}
    if not request.has_own_recipe:
        with _only_run_in(root):
            recipe = load_recipe(root)
            champion = _champion_now(root, recipe.name, environment)
            graph = load_graph(root)
            is_current, champion_then = freshness.remembered_champion(root, graph)
            if is_current and champion_then == champion and (root / PAGE).is_file():
                return _outcome(root, is_unchanged=True)
            check_before(root, environment)
            run_id = _run_id(root)
            _drive(root, graph, environment, {"driver": "ratchet", "id": run_id, "overrides": {}})
            freshness.remember(root, graph, _champion_now(root, recipe.name, environment))
            workspace.keep(root, root, run_id)
            return _outcome(root, is_unchanged=False)
    return _run_apart(root, request, environment)


def check_before(root: Path, environment: Mapping[str, str]) -> None:
    """Refuse what can be refused before anything is written: recipe, execution, source, contracts, set-up."""
    from pipeline.doctor import require_horovod, require_java
    from pipeline.execution import load_execution
    from pipeline.params import load_recipe

    recipe = load_recipe(root)
    execution = load_execution(root, environment)
    if not (root / recipe.data.path).exists():
        raise StorageError(f"data.path: {recipe.data.path} does not exist; name the folder that holds the source")
    for name in ("raw.yaml", "prepared.yaml"):
        contract = Path(recipe.data.contracts) / name
        if not (root / contract).is_file():
            raise UsageError(f"data.contracts: {contract} does not exist; every data set needs its contract")
    if not os.access(root, os.W_OK):
        raise StorageError(f"{root}: not writable; run in a folder of your own")
    require_java()
    if execution.horovod.workers > 1:
        require_horovod()


def _run_apart(root: Path, request: Request, environment: dict[str, str]) -> Outcome:
    from pipeline.configs import load_config, recipe_values
    from pipeline.params import Recipe, apply_overrides, validate

    config = load_config(request.config) if request.config else None
    values = apply_overrides(recipe_values(root, config), request.overrides)
    where = " with ".join(
        filter(None, ("params.yaml", str(request.config or ""), "--set" if request.overrides else ""))
    )
    recipe = validate(Recipe, values, where).model_dump(mode="json", exclude_unset=True)
    run_id = _run_id(root)
    about = {
        "driver": "ratchet",
        "id": run_id,
        "config": str(request.config or ""),
        "overrides": dict(request.overrides),
    }
    workspace.sweep(root)
    with workspace.worktree(root, run_id, recipe) as place, _only_run_in(place):
        check_before(place, environment)
        try:
            _drive(place, load_graph(place), environment, about)
        finally:
            kept = workspace.keep(root, place, run_id)
    return _outcome(kept, is_unchanged=False)


def _drive(place: Path, graph: Graph, environment: Mapping[str, str], about: dict[str, Any]) -> None:
    freshness.forget(place)
    rows = {stage.name: StageRow(stage.name) for stage in graph.stages}
    started_at = datetime.now(UTC)
    with Console(rows.values()) as console:
        try:
            for attempt in range(1, _CHAMPION_TRIES + 1):
                try:
                    reproduce(place, rows, console, environment)
                    break
                except StageFailed as error:
                    # The champion has moved since the verdict: only the gate and what follows it run again.
                    if error.stage != "register" or error.exit_code != TryAgain.exit_code or attempt == _CHAMPION_TRIES:
                        raise
        finally:
            _write_run_report(place, rows, started_at, about)
            _render_page(place)
    console.finish()


def _champion_now(root: Path, name: str, environment: Mapping[str, str]) -> dict[str, Any] | None:
    from pipeline.execution import load_execution
    from pipeline.registry.peek import champion_of, open_reader
    from pipeline.registry.store import resolve_store

    found = champion_of(open_reader(resolve_store(root, load_execution(root, environment).mlflow)), name)
    return {"version": found.version, "digest": found.digest, "tags": dict(found.tags)} if found else None


@contextmanager
def _only_run_in(root: Path) -> Iterator[None]:
    folder = root / ".ratchet"
    try:
        folder.mkdir(exist_ok=True)
        handle = (folder / workspace.RUN_LOCK).open("a+")
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror}; run in a folder of your own") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go when the process ends, however
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise TryAgain(f"another run (process {holder}) works in {root}; wait for it, or use --set") from error
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _run_id(root: Path) -> str:
    base = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 0
    while True:
        name = f"{base}-{os.getpid()}" + (f"-{number}" if number else "")
        if not (root / workspace.RUNS / name).exists() and not (root / workspace.WORKTREES / name).exists():
            return name
        number += 1


def _write_run_report(place: Path, rows: Mapping[str, StageRow], started_at: datetime, about: dict[str, Any]) -> None:
    write_json(
        place / RUN_REPORT,
        {
            **about,
            "started_at": started_at.isoformat(timespec="seconds"),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "stages": [
                {"name": r.name, "what": r.what, "seconds": r.seconds, "outcome": r.state, **r.readings}
                for r in rows.values()
            ],
        },
    )


def _render_page(place: Path) -> None:
    from pipeline.artifacts import write_file
    from pipeline.evaluation.page import render

    write_file(place / PAGE, render(place))


def _outcome(place: Path, *, is_unchanged: bool) -> Outcome:
    registration = read_json(place / REGISTRATION) if (place / REGISTRATION).is_file() else {}
    return Outcome(is_unchanged, read_json(place / VERDICT), registration, place / PAGE)
