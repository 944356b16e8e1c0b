"""Keeps `reports/champions.html` in the project's folder up to date: after each run, and each change by hand."""

from __future__ import annotations

from pathlib import Path

from pipeline.graph import load_graph
from pipeline.records.run import CHAMPIONS_FILE
from pipeline.runs import history
from pipeline.runs.afterwards import warned
from pipeline.runs.locks import page_lock


def write_champions(root: Path) -> None:
    """Write the page of the registry that the project names, whatever registry a single run was told to use.

    A project that has no stage to register anything has no such page.

    `root` is the project's folder, or a workspace of a run of it. What goes wrong is a warning: no run fails by it. The
    registry is read with the page's lock held, so that of two runs that end together the last one to write has seen
    what both have published.
    """
    from pipeline.recipe.execution import load_execution
    from pipeline.registry.reader import open_reader
    from pipeline.registry.store import resolve_store
    from pipeline.report.champions import render_champions
    from pipeline.storage.artifacts import write_file
    from pipeline.storage.home import home_of

    with warned(f"{CHAMPIONS_FILE} is not brought up to date"):
        home = home_of(root)
        if load_graph(home).maker("registration") is None:
            return
        store = resolve_store(home, load_execution(home).mlflow)
        with page_lock(home):
            write_file(home / CHAMPIONS_FILE, render_champions(home, store, open_reader(store), history.now()))
