"""What a run has left, read again: the parts of its evidence that `ratchet runs show` and `compare` speak of.

A part that is not there is None. One that is damaged is None too, and the problem is said: the others stand on their
own. Runs of every record version are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import RatchetError, UsageError, nearest
from pipeline.graph import GRAPH_FILE, Graph, Role, load_graph
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.settings import flatten
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.metrics import MetricsReport
from pipeline.records.run import PAGE_FILE, RUN_REPORT_FILE, RunRecord, RunReport
from pipeline.records.training_history import HISTORY_FILE, TRAINING_FILE
from pipeline.records.verdict import Verdict
from pipeline.runs import history, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.outcome import find_verdict, validation_figures
from pipeline.runs.photograph import Photograph
from pipeline.runs.photograph_store import PhotographStore
from pipeline.runs.run_outputs import cached_files
from pipeline.storage.record_files import find_record

ValueT = TypeVar("ValueT")
VALIDATION, TEST = "validation", "test"
_MADE = ("done", "cached", "unchanged")  # how a stage ends that has made, or found, its outputs


@dataclass(frozen=True)
class Figures:
    """Figures of one part of the data (`validation` or `test`) by name; `epoch` is the one that was chosen.

    `units` are those that the target gives some of them.
    """

    part: str
    values: Mapping[str, float]
    task: str = ""
    epoch: int | None = None
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """One attempt at a run. `recipe` has flat keys; `workspace` and `page` are paths if they are there.

    `problems` are lines about parts that are damaged, or that have been freed.
    """

    record: RunRecord
    attempts: tuple[RunRecord, ...]
    recipe: Mapping[str, Any] | None
    photograph: Photograph | None
    size_bytes: int | None  # of the photograph's own files
    report: RunReport | None
    figures: Figures | None
    verdict: Verdict | None
    page: str | None
    workspace: str | None
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        record, photograph = self.record, self.photograph
        return {
            **record.to_json(),
            "folder": record.folder,
            "attempts": [{"attempt": one.attempt, "state": one.state, "folder": one.folder} for one in self.attempts],
            "recipe": self.recipe,
            "photographed": {
                "files": len(photograph.files),
                "bytes": self.size_bytes,
                "references": {path: asdict(one) for path, one in photograph.references.items()},
            }
            if photograph
            else None,
            "stages": self.report.to_json()["stages"] if self.report else [],
            "figures": asdict(self.figures) if self.figures else None,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "page": self.page,
            "workspace": self.workspace,
            "problems": list(self.problems),
        }


def read_evidence(root: Path, run_id: str, attempt: int | None = None) -> Evidence:
    """Read what a run's latest attempt has left, or another attempt; raise UsageError, with the nearest, if none is."""
    latest = history.read(root, run_id)
    attempts = history.attempts_of(root, run_id)
    record = next((one for one in attempts if one.attempt == attempt), None) if attempt is not None else latest
    if record is None:
        raise UsageError(f"run {run_id} has no attempt {attempt}{nearest(str(attempt), map(str, _numbers(attempts)))}")
    problems: list[str] = []
    folder = root / record.folder
    graph = _part(problems, lambda: load_graph(folder) if _has(folder, GRAPH_FILE, PARAMS_FILE) else None)
    recipe = _part(problems, lambda: flatten(parse_yaml(folder / PARAMS_FILE)) if _has(folder, PARAMS_FILE) else None)
    photograph, size_bytes = _photograph(root, record, problems)
    report = _part(problems, lambda: _report(folder, record))

    def is_made(role: Role) -> bool:
        return graph is not None and _is_made(record, report, graph, role)

    workspace = workspaces.workspace_of(root, run_id)
    return Evidence(
        record=record,
        attempts=tuple(attempts),
        recipe=recipe,
        photograph=photograph,
        size_bytes=size_bytes,
        report=report,
        figures=_part(problems, lambda: _figures(root, record, graph, recipe or {}, is_made)) if graph else None,
        verdict=_part(problems, lambda: find_verdict(folder, graph)) if graph and is_made("verdict") else None,
        page=f"{record.folder}/{PAGE_FILE}" if _has(folder, PAGE_FILE) else None,
        workspace=str(workspaces.WORKSPACES / run_id) if record == latest and workspaces.is_whole(workspace) else None,
        problems=tuple(problems),
    )


def _numbers(attempts: list[RunRecord]) -> list[int]:
    return [one.attempt for one in attempts]


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_file() for name in names)


def _part(problems: list[str], read: Callable[[], ValueT | None]) -> ValueT | None:
    try:
        return read()
    except RatchetError as error:
        problems.append(str(error))
        return None


def _photograph(root: Path, record: RunRecord, problems: list[str]) -> tuple[Photograph | None, int | None]:
    digest = record.photograph
    if digest is None:
        return None, None
    store = PhotographStore(cache_of(root))
    if not store.has(digest):
        problems.append(f"its photograph {digest[:8]} is gone; `ratchet runs pull {record.id}` may bring it back")
        return None, None
    photograph = _part(problems, lambda: store.read(digest))
    sizes = [store.size_of(each) for each in photograph.files.values()] if photograph else []
    if None in sizes:
        problems.append(f"some files of its photograph {digest[:8]} are gone")
    return photograph, sum(size for size in sizes if size is not None) if photograph else None


def _report(folder: Path, record: RunRecord) -> RunReport | None:
    """Return the run's own report: a run in place that was killed has left the one of the run before."""
    report = find_record(folder / RUN_REPORT_FILE, RunReport)
    is_own = report is not None and (report.id in ("", record.id) or record.same_as is not None)
    return report if is_own else None


def _is_made(record: RunRecord, report: RunReport | None, graph: Graph, role: Role) -> bool:
    """Return whether what has a role is this run's: one that did not come so far may have that of an earlier one."""
    maker = graph.maker(role)
    if maker is None:
        return False
    if record.state == "success" and record.until is None:
        return True
    outcomes = {stage.name: stage.outcome for stage in (report.stages if report else ())}
    return outcomes.get(maker.name) in _MADE


def _figures(
    root: Path, record: RunRecord, graph: Graph, recipe: Mapping[str, Any], is_made: Callable[[Role], bool]
) -> Figures | None:
    path = graph.find("metrics")
    if path and record.until is None and is_made("metrics"):
        report = find_record(root / record.folder / path, MetricsReport)
        return Figures(TEST, report.test_figures, report.task, units=report.units) if report else None
    files = _trained(root, record, graph) if record.until is not None and is_made("candidate") else None
    if files is None:
        return None
    epoch, values = validation_figures(*files, f"{graph.artifact('candidate')}/{HISTORY_FILE}")
    return Figures(VALIDATION, values, str(recipe.get("task.name", recipe.get("task", ""))), epoch)


def _trained(root: Path, record: RunRecord, graph: Graph) -> tuple[Path, Path] | None:
    """Return what training wrote beside the candidate: DVC's cache has it, by the run's own lock."""
    candidate = graph.find("candidate")
    files = cached_files(root, record, candidate) if candidate else {}
    history_file, training_file = files.get(HISTORY_FILE), files.get(TRAINING_FILE)
    if history_file is None or training_file is None or not (history_file.is_file() and training_file.is_file()):
        return None
    return history_file, training_file
