"""The files of a run that more than one part of the page shows, each in a section; found by role, as dvc.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import UsageError
from pipeline.graph import GRAPH_FILE, Graph, Role, parse_graph
from pipeline.models import stored
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.settings import flatten
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.contract_result import RESULT_FILE, ContractResult
from pipeline.records.metrics import MetricsReport
from pipeline.records.record import Record
from pipeline.records.registration import Registration
from pipeline.records.run import RUN_REPORT_FILE, RunReport
from pipeline.records.verdict import Verdict
from pipeline.report.sections import Section, find_file, find_folder, section
from pipeline.storage.record_files import read_record

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class RunFiles:
    """What was read under `root`. `recipe` has flat keys: `train.epochs` → 8. `contracts` are by the data's name."""

    root: Path
    graph: Section[Graph]
    recipe: Section[dict[str, Any]]
    run: Section[RunReport]
    verdict: Section[Verdict]
    registration: Section[Registration]
    metrics: Section[MetricsReport]
    contracts: Mapping[str, Section[ContractResult]]
    candidate: Section[str]  # the digest of the model

    def place(self, role: Role) -> Path | None:
        """Return the path, from the root, of what has a role; None if no stage makes it."""
        path = self.graph.value.find(role) if self.graph.value else None
        return Path(path) if path else None

    def folder(self, role: Role) -> Path | None:
        """Return the folder of what has a role; None if it was never made."""
        place = self.place(role)
        return find_folder(self.root / place) if place else None

    def find(self, role: Role, name: str, kind: type[RecordT]) -> RecordT | None:
        """Return the record in a file of what has a role; None if it was never made, or has no such file."""
        folder = self.folder(role)
        return _record(folder / name, kind) if folder else None


def read_run_files(root: Path) -> RunFiles:
    """Read them; never fails, because each is a section."""
    params = section(lambda: _yaml(root / PARAMS_FILE), root)
    graph = section(lambda: _graph(root, params.value), root)
    made = graph.value.find if graph.value else lambda _: None

    def record(path: str | Path | None, kind: type[RecordT]) -> Section[RecordT]:
        return section(lambda: _record(root / path, kind), root) if path else Section(None)

    def digest(folder: str) -> str | None:
        return stored.digest(root / folder) if find_folder(root / folder) else None

    candidate = made("candidate")
    return RunFiles(
        root=root,
        graph=graph,
        recipe=section(lambda: flatten(params.value or {}), root) if params else Section(None, params.problem),
        run=record(RUN_REPORT_FILE, RunReport),
        verdict=record(made("verdict"), Verdict),
        registration=record(made("registration"), Registration),
        metrics=record(made("metrics"), MetricsReport),
        contracts={
            contract.of: record(Path(contract.result) / RESULT_FILE, ContractResult)
            for contract in (graph.value.contracts if graph.value else ())
        },
        candidate=section(lambda: digest(candidate), root) if candidate else Section(None),
    )


def _yaml(path: Path) -> dict[str, Any] | None:
    return parse_yaml(path) if find_file(path) else None


def _graph(root: Path, params: Mapping[str, Any] | None) -> Graph:
    declared = parse_yaml(root / GRAPH_FILE)
    if params is not None:
        with suppress(UsageError):  # a reference that the recipe cannot answer must not hide what has none
            return parse_graph(declared, params)
    return parse_graph(declared, None)


def _record(path: Path, kind: type[RecordT]) -> RecordT | None:
    return read_record(path, kind) if find_file(path) else None
