"""A graph of which no code has heard: stages of other names and files, each one file and one entry in dvc.yaml.

Only the one that completes the recipe is the shipped one. Every driver runs the graph, and finds its verdict and its
registration by their roles.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dags import derive
from pipeline.graph import load_graph
from tests.system.project import ROOT, Project, make_project

WEIGH = '''"""Weighs a number against another."""

from pipeline.records.verdict import GateCheck, Verdict
from pipeline.storage.record_files import write_record


def run(stage):
    check = GateCheck(name="weight", figure=2, bound=1, outcome="pass", sentence="2 is at least 1")
    write_record(stage.out("reports/weighed.json"), Verdict.of([check], "2 is at least 1", "sha256:c", None))
    return "heavy enough"
'''
SHELVE = '''"""Puts on the shelf what is heavy enough."""

from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.storage.record_files import read_record, write_record


def run(stage):
    verdict = read_record(stage.dep("reports/weighed.json"), Verdict)
    kept = Registration(
        outcome="kept", name="weight", version=1, champion=None, sentence=f"shelved: {verdict.reason}", registry="shelf"
    )
    write_record(stage.volatile("reports/shelf.json"), kept)
    return kept.sentence
'''
SHOUT = '''"""Says it louder."""


def run(stage):
    stage.out("reports/loud.txt").write_text("2!")
    return "2!"
'''
ROOMS = ["pipeline/records", "pipeline/storage"]
NAMED = [{"reports/recipe.json": ["name"]}]
STAGES: dict[str, dict[str, Any]] = {
    "resolve": yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["resolve"],
    "weigh": {
        "desc": "weighs a number against another",
        "deps": ["pipeline/stages/weigh.py", *ROOMS],
        "params": NAMED,
        "outs": ["reports/weighed.json"],
        "meta": {"makes": {"verdict": "reports/weighed.json"}},
    },
    "shelve": {
        "desc": "puts on the shelf what is heavy enough",
        "deps": ["reports/weighed.json", "pipeline/stages/shelve.py", *ROOMS],
        "params": NAMED,
        "always_changed": True,
        "meta": {"makes": {"registration": "reports/shelf.json"}, "volatile": ["reports/shelf.json"]},
    },
}


def write_graph(root: Path, stages: dict[str, dict[str, Any]]) -> None:
    declared = {name: {"cmd": f"ratchet stage {name}", **body} for name, body in stages.items()}
    (root / "dvc.yaml").write_text(json.dumps({"stages": declared}, indent=2))  # YAML, too, and without aliases


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path / "project")
    (project.root / "pipeline" / "stages" / "weigh.py").write_text(WEIGH)
    (project.root / "pipeline" / "stages" / "shelve.py").write_text(SHELVE)
    write_graph(project.root, STAGES)
    (project.root / "dvc.lock").unlink(missing_ok=True)
    return project


def succeed(project: Project, *command: str) -> str:
    done = project.ratchet(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_driver_runs_it_and_records_the_same(project: Project) -> None:
    root = project.root
    specs = derive.task_specs(load_graph(root))
    assert [(spec.stage, spec.parents) for spec in specs] == [
        ("resolve", ()),
        ("weigh", ("resolve",)),
        ("shelve", ("resolve", "weigh")),
    ]

    (root / "request.json").write_text(json.dumps({"id": "in-steps"}))
    succeed(project, "runs", "open", "request.json")
    for spec in specs:
        succeed(project, "runs", "stage", "in-steps", spec.stage)
    assert "success: promote, 2 is at least 1" in succeed(project, "runs", "close", "in-steps", "--state", "success")
    (root / "request.json").unlink()

    in_place = succeed(project, "run")
    assert "verdict: PROMOTE  2 is at least 1\nregistry: shelved: 2 is at least 1\n" in in_place
    # `shelve` publishes to a place that Ratchet does not know, so nobody can say that nothing would change there.
    again = succeed(project, "run")
    assert "nothing changed" not in again
    assert "weigh: unchanged\nshelve: starting\n" in again

    locks = [yaml.safe_load(path.read_text())["stages"] for path in (root / "dvc.lock", *root.glob("runs/*/dvc.lock"))]
    for lock in locks:
        assert list(lock) == [spec.stage for spec in specs]
    assert all(lock == locks[0] for lock in locks)

    of_its_own = succeed(project, "run", "--set", "train.epochs=3")
    assert "verdict: PROMOTE  2 is at least 1\nregistry: shelved: 2 is at least 1\n" in of_its_own
    for page in [root / "reports" / "index.html", *root.glob("runs/*/reports/index.html")]:
        assert "✓ Promote" in page.read_text()


def test_a_stage_that_is_added_is_run_by_every_driver(project: Project) -> None:
    root = project.root
    succeed(project, "run")
    (root / "pipeline" / "stages" / "shout.py").write_text(SHOUT)
    deps = ["reports/weighed.json", "pipeline/stages/shout.py", *ROOMS]
    write_graph(root, {**STAGES, "shout": {"deps": deps, "params": NAMED, "outs": ["reports/loud.txt"]}})

    (root / "request.json").write_text(json.dumps({"id": "in-steps"}))
    succeed(project, "runs", "open", "request.json")
    for spec in derive.task_specs(load_graph(root)):
        succeed(project, "runs", "stage", "in-steps", spec.stage)
    succeed(project, "runs", "close", "in-steps", "--state", "success")
    succeed(project, "run")

    assert (root / "runs" / "in-steps" / "reports" / "loud.txt").read_text() == "2!"
    assert (root / "reports" / "loud.txt").read_text() == "2!"
    report = project.json("reports/run.json")["stages"]
    assert [(stage["name"], stage["outcome"]) for stage in report if stage["name"] == "shout"] == [("shout", "cached")]
    assert "shout" in (root / "reports" / "index.html").read_text()


def test_without_a_verdict_a_run_says_that_nothing_was_judged(project: Project) -> None:
    weigh = {**STAGES["weigh"], "meta": {}}
    write_graph(project.root, {"resolve": STAGES["resolve"], "weigh": weigh})

    said = succeed(project, "run")
    assert "verdict: none: no stage of dvc.yaml makes a verdict, so nothing was judged\n" in said
    assert "○ Not judged" in (project.root / "reports" / "index.html").read_text()
    [record] = json.loads(succeed(project, "runs", "list", "--json"))
    assert (record["state"], record["outcome"]) == ("success", None)
