"""The parts of the page, in their order: what each needs of the graph, and what it shows beside the run's common files.

A part is drawn by its template, `templates/<id>.html.jinja`, and stands on its own: what is wrong with one leaves the
others as they are (see `sections`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.graph import Graph
from pipeline.records.measured_exports import MeasuredExports
from pipeline.records.model_card import CARD_FILE, ModelCard
from pipeline.records.run import PAGE_FILE
from pipeline.registry.card import how_to_use
from pipeline.report import columns, examples, flow, measured, mistakes, near_duplicates, provenance
from pipeline.report.drawing import draw
from pipeline.report.flow_picture import picture_of
from pipeline.report.inline_svg import inline_svg, width_of
from pipeline.report.ledger import spent
from pipeline.report.quarantine import Reason, reasons
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section, find_file, find_folder, section
from pipeline.report.time_line import time_line_of
from pipeline.storage.record_files import read_record

_FILES_SHOWN, _ROWS_SHOWN = 8, 12  # of a reason, and of a file
_READABLE_PT = 600.0  # a wider drawing takes the whole width: in half of it its text is too small


@dataclass(frozen=True)
class Part:
    """One part. `needs` says whether the graph has what it shows (a graph without it: no such part); None: always.

    `shows` says whether this run has anything for it; None: whatever it has, or lacks, is said.
    """

    id: str
    title: str
    link: str  # in the page's table of contents
    read: Callable[[RunFiles], Mapping[str, Any]]
    needs: Callable[[Graph], object] | None = None
    shows: Callable[[RunFiles], bool] | None = None


def _why(files: RunFiles) -> Mapping[str, Any]:
    return {"spent": section(lambda: spent(files), files.root)}


def _quality(files: RunFiles) -> Mapping[str, Any]:
    report = files.metrics.value
    weight = (files.recipe.value or {}).get("data.roles.weight")
    return {"quality": measured.quality(report) if report else None, "weight": weight}


def _mistakes(files: RunFiles) -> Mapping[str, Any]:
    wanted = (files.recipe.value or {}).get("evaluate.worst_mistakes")
    plots = [plot for plot in measured.plots_of(measured.task_of_run(files)) if plot.place == "mistakes"]
    drawings = _drawings(files, [plot.name for plot in plots])
    widths = [width_of(each.value) for each in drawings.values() if each.value]
    return {
        "errors": mistakes.read_errors(files, wanted),
        "plots": plots,
        "drawings": drawings,
        "is_wide": max(widths, default=0.0) > _READABLE_PT,
    }


def _curves(files: RunFiles) -> Mapping[str, Any]:
    folder = files.folder("plots")
    known = measured.plots_of(measured.task_of_run(files))
    names = {plot.name for plot in known}
    others = sorted(path.stem for path in folder.glob("*.svg") if path.stem not in names) if folder else []
    plots = [plot for plot in known if plot.place == "curves"]
    drawings = _drawings(files, [*(plot.name for plot in plots), *others])
    return {"plots": plots, "others": others, "drawings": drawings}


def _data(files: RunFiles) -> Mapping[str, Any]:
    assert files.graph.value is not None
    stages = files.graph.value.flow
    read = flow.read_flow(files.root, stages)
    paths = dict.fromkeys(rows.rejected for _, rows in stages if rows.rejected)
    return {
        "flow": read,
        "drawn_picture": section(lambda: _flow_picture(read), files.root),
        "quarantines": {path: section(lambda path=path: _rejected(files.root / path), files.root) for path in paths},  # type: ignore[misc]
        "rows_shown": _ROWS_SHOWN,
    }


def _flow_picture(read: flow.Flow) -> Any:
    picture = picture_of(read)
    return draw("flow", {"picture": picture}) if picture else None


def _rejected(folder: Path) -> Sequence[Reason] | None:
    return reasons(folder, _FILES_SHOWN) if find_folder(folder) else None


def _columns(files: RunFiles) -> Mapping[str, Any]:
    return {"columns": columns.read_columns(files)}


def _near_duplicates(files: RunFiles) -> Mapping[str, Any]:
    return {"near": section(lambda: near_duplicates.read_near(files), files.root)}


def _augmentation(files: RunFiles) -> Mapping[str, Any]:
    return {"examples": examples.read_examples(files)}


def _contracts(files: RunFiles) -> Mapping[str, Any]:
    assert files.graph.value is not None
    results = {contract.of: files.root / contract.result for contract in files.graph.value.contracts}
    return {
        "documents": {name: _documents(files.root, result) for name, result in results.items()},
        "folders": {name: _address(files.root, result) for name, result in results.items()},
    }


def _run(files: RunFiles) -> Mapping[str, Any]:
    report = files.run.value
    return {"time_line": section(lambda: time_line_of(report), files.root) if report else Section(None)}


def _card(files: RunFiles) -> Mapping[str, Any]:
    card = section(lambda: files.find("card", CARD_FILE, ModelCard), files.root)
    return {"card": card, "shown": (*card.value.parts, how_to_use(card.value)) if card.value else ()}


def _exports(files: RunFiles) -> Mapping[str, Any]:
    place = files.place("exports")
    path = files.root / place if place else None
    return {
        "exports": section(lambda: read_record(path, MeasuredExports) if path and find_file(path) else None, files.root)
    }


def _lineage(files: RunFiles) -> Mapping[str, Any]:
    return {
        "digests": provenance.digests(files),
        "commit": provenance.git_commit(files),
        "photograph": files.run.value.photograph if files.run.value else None,
        "overridden": files.run.value.overrides if files.run.value else {},
        "hardware": provenance.hardware(files),
        "libraries": provenance.library_versions(),
    }


def _drawings(files: RunFiles, names: Sequence[str]) -> dict[str, Section[Any]]:
    """Return drawings by name, none if no stage makes any."""
    folder = files.folder("plots")
    if folder is None:
        return dict.fromkeys(names, Section(None)) if files.place("plots") else {}
    return {name: section(lambda name=name: _drawing(folder / f"{name}.svg", name), files.root) for name in names}  # type: ignore[misc]


def _drawing(path: Path, name: str) -> Any:
    from markupsafe import Markup

    if not find_file(path):
        return None
    return Markup(inline_svg(path.read_bytes(), name))  # noqa: S704 - sanitised element by element


def _documents(root: Path, result: Path) -> str | None:
    """Return the address, relative to the page, of the documents that Great Expectations made, if there are any."""
    if not find_folder(result):
        return None
    found = sorted(result.rglob("index.html"), key=lambda path: (len(path.parts), path))
    return _address(root, found[0]) if found else None


def _address(root: Path, path: Path) -> str:
    """Return the address of a path relative to the page."""
    return quote(os.fsencode(os.path.relpath(path, (root / PAGE_FILE).parent)))


PARTS = (
    Part("why", "Why", "Why", _why, lambda graph: graph.maker("verdict")),
    Part("quality", "How good it is", "How good it is", _quality, lambda graph: graph.maker("metrics")),
    Part("mistakes", "Where it errs", "Where it errs", _mistakes, lambda graph: graph.maker("predictions")),
    Part("curves", "How it learned, how sure it is", "Curves", _curves, lambda graph: graph.maker("plots")),
    Part("data", "The data", "Data", _data, lambda graph: graph.flow),
    Part("columns", "The columns", "Columns", _columns, lambda graph: graph.maker("columns"), columns.has_columns),
    Part(
        "near_duplicates",
        "What looks the same",
        "Near-duplicates",
        _near_duplicates,
        lambda graph: graph.maker("near_duplicates"),
    ),
    Part("augmentation", "Changed copies", "Changed copies", _augmentation, lambda graph: graph.maker("examples")),
    Part("contracts", "Contracts", "Contracts", _contracts, lambda graph: graph.contracts),
    Part("run", "The run", "Run", _run),
    Part("exports", "What it is served as", "Exports", _exports, lambda graph: graph.maker("exports")),
    Part("lineage", "Lineage", "Lineage", _lineage),
    Part("card", "Model card", "Model card", _card, lambda graph: graph.maker("card")),
)
