"""`ratchet graph`, `report` and `doctor`: the project's stages, the page on its last run, what the machine lacks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import graph
from pipeline.cli.command import Command, add_json, project_root, relative, say
from pipeline.errors import RatchetError, UsageError, shortened, without_secrets

if TYPE_CHECKING:
    from pipeline.recipe.recipe import Device


def _fill_graph(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=("text", "mermaid", "json"), default="text", help="how to print it")
    command.set_defaults(handler=_graph)


def _fill_report(command: argparse.ArgumentParser) -> None:
    command.set_defaults(handler=_report)


def _fill_doctor(command: argparse.ArgumentParser) -> None:
    add_json(command)
    command.set_defaults(handler=_doctor)


def _graph(options: argparse.Namespace) -> int:
    loaded = graph.load_graph(project_root())
    if options.format == "json":
        stages = [{"name": s.name, "deps": s.deps, "outs": s.outs, "params": s.params} for s in loaded.stages]
        say(json.dumps({"stages": stages, "edges": sorted(loaded.edges)}, indent=2))
    elif options.format == "mermaid":
        say("flowchart LR")
        for parent, child in sorted(loaded.edges):
            say(f"  {parent} --> {child}")
    else:
        width = max(len(stage.name) for stage in loaded.stages)
        for stage in loaded.stages:
            after = ", ".join(parent.name for parent in loaded.parents(stage))
            say(f"{stage.name:{width}}  {stage.description}" + (f"  (after {after})" if after else ""))
    return 0


def _report(_: argparse.Namespace) -> int:
    from pipeline.report.page import render
    from pipeline.runs.champions_page import write_champions
    from pipeline.runs.run_report import PAGE
    from pipeline.storage.artifacts import write_file

    root = project_root()
    write_file(root / PAGE, render(root))
    say(f"report: {relative(root / PAGE)}")
    write_champions(root)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from pipeline.doctor.examine import examine
    from pipeline.recipe.execution import load_execution

    root = project_root()
    execution = load_execution(root)
    checks = examine(
        root,
        spark_master=execution.spark.master,
        mlflow_uri=execution.mlflow.uri,
        workers=execution.horovod.workers,
        threads=execution.horovod.threads_per_worker,
        device=_device(root),
        pass_on=execution.environment.pass_on,
    )
    if options.json:
        say(without_secrets(json.dumps([vars(check) for check in checks], indent=2)))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(without_secrets(f"{'✓' if check.is_ok else '✗'} {check.name:{width}}  {shortened(check.found)}"))
            if not check.is_ok:
                say(without_secrets(f"  {'':{width}}  → {check.remedy}"))
    return 0 if all(check.is_ok for check in checks) else UsageError.exit_code


def _device(root: Path) -> Device:
    """Return the recipe's `train.device`; `auto` if it cannot be read: what is there is said all the same."""
    from pipeline.recipe.recipe import load_recipe

    try:
        return load_recipe(root).train.device
    except RatchetError:
        return "auto"


GRAPH = Command(
    "graph", "show the stages and what each waits for", "  ratchet graph\n  ratchet graph --format mermaid", _fill_graph
)
REPORT = Command("report", "write reports/index.html from what is there", "  ratchet report", _fill_report)
DOCTOR = Command("doctor", "say what is there, what is missing and what to do", "  ratchet doctor", _fill_doctor)
