"""What `ratchet gc` frees, and what it leaves, in a project with real runs, a real cache of DVC and a real git."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli import command_line
from pipeline.runs import garbage, history
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.photograph_store import PhotographStore
from tests.system.project import ROOT, Project, make_project

HEAP = '''"""Heaps up as many lines as there are epochs, in files of their own."""


def run(stage):
    epochs = stage.param("train.epochs", int)
    folder = stage.out("data/heap")
    folder.mkdir(parents=True)
    for number in range(epochs):
        (folder / f"{number}.txt").write_text(f"{number} of {epochs}")
    return f"{epochs} files"
'''
WEIGH = '''"""Weighs the heap."""

from pipeline.records.verdict import GateCheck, Verdict
from pipeline.storage.record_files import write_record


def run(stage):
    files = len(list(stage.dep("data/heap").iterdir()))
    said = f"{files} is at least 1"
    check = GateCheck(name="weight", figure=files, bound=1, outcome="pass", sentence=said)
    write_record(stage.out("reports/weighed.json"), Verdict.of([check], said, "sha256:c", None))
    return "heavy enough"
'''
ROOMS = ["pipeline/records", "pipeline/storage"]
STAGES: dict[str, dict[str, Any]] = {
    "resolve": yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["resolve"],
    "heap": {
        "cmd": "ratchet stage heap",
        "deps": ["${data.path}", "pipeline/stages/heap.py", *ROOMS],
        "params": [{"reports/recipe.json": ["train.epochs"]}],
        "outs": ["data/heap"],
    },
    "weigh": {
        "cmd": "ratchet stage weigh",
        "deps": ["data/heap", "pipeline/stages/weigh.py", *ROOMS],
        "outs": ["reports/weighed.json"],
        "meta": {"makes": {"verdict": "reports/weighed.json"}},
    },
}


def make_heaps(folder: Path) -> Project:
    """Make a project whose stages are quick, and whose outputs differ with `train.epochs`."""
    project = make_project(folder)
    for name, code in (("heap", HEAP), ("weigh", WEIGH)):
        (folder / "pipeline" / "stages" / f"{name}.py").write_text(code)
    (folder / "dvc.yaml").write_text(json.dumps({"stages": STAGES}, indent=2))
    return project


def succeed(project: Project, *command: str) -> str:
    done = project.call(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ratchet_here(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Give a command in this process, for which nothing is too young to be freed."""
    assert command_line.main(words) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def objects_of(root: Path, lock: Path) -> set[Path]:
    """Return where DVC's cache holds what a lock lists as made, folders' contents included."""
    cache = cache_of(root)
    outs = [out for stage in yaml.safe_load(lock.read_text())["stages"].values() for out in stage["outs"]]
    lists = [json.loads(cache.path(out["md5"]).read_bytes()) for out in outs if out["md5"].endswith(".dir")]
    listed = [entry["md5"] for entries in lists for entry in entries]
    return {cache.path(digest) for digest in (*(out["md5"] for out in outs), *listed)}


def outcomes(root: Path, folder: str) -> dict[str, str]:
    stages = json.loads((root / folder / "reports" / "run.json").read_text())["stages"]
    return {stage["name"]: stage["outcome"] for stage in stages}


def commit(project: Project, message: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    succeed(project, "git", "add", "-A")
    succeed(project, "git", *identity, "commit", "--quiet", "-m", message)


def test_what_is_kept_can_be_checked_out_and_what_only_a_deleted_run_had_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_heaps(tmp_path / "project")
    root = project.root

    def add(content: str) -> Path:
        (root / "more.txt").write_text(content)
        succeed(project, "dvc", "add", "--quiet", "more.txt")
        digest: str = yaml.safe_load((root / "more.txt.dvc").read_text())["outs"][0]["md5"]
        return cache_of(root).path(digest)

    succeed(project, "git", "checkout", "--quiet", "-b", "older")
    on_branch = add("of a branch")
    commit(project, "more data")
    succeed(project, "git", "checkout", "--quiet", "-b", "newer")
    nowhere = add("written over, and in no commit")
    in_place = add("as it stands")
    for epochs in (None, "3", "5"):
        succeed(project, "ratchet", "run", *(["--set", f"train.epochs={epochs}"] if epochs else []))
    by_epochs = {record.overrides.get("train.epochs"): record for record in history.list_runs(root)}
    kept, deleted = [by_epochs[None], by_epochs[5]], by_epochs[3]
    objects = {record.id: objects_of(root, root / record.folder / "dvc.lock") for record in by_epochs.values()}
    needed = set.union(*(objects[record.id] for record in kept))
    own = objects[deleted.id] - needed
    assert len(own) >= 5  # the recipe, the heap and its three files, the verdict

    monkeypatch.chdir(root)
    assert "nothing is deleted yet" in ratchet_here(capsys, "runs", "delete", deleted.id)
    assert (root / deleted.folder).is_dir()
    ratchet_here(capsys, "runs", "delete", deleted.id, "--yes")
    assert not (root / deleted.folder).exists()

    said = ratchet_here(capsys, "gc")
    assert "nothing to free" in said  # all of it is of the last hour
    assert "of the last hour" in said
    monkeypatch.setattr(garbage, "_YOUNG_S", 0.0)
    assert "nothing is freed yet" in ratchet_here(capsys, "gc")
    assert all(path.is_file() for path in {*own, nowhere})
    said = ratchet_here(capsys, "gc", "--yes")
    assert "2 runs, 2 git commits" in said

    assert not any(path.exists() for path in {*own, nowhere})
    assert all(path.is_file() for path in {*needed, on_branch, in_place})
    store = PhotographStore(cache_of(root))
    assert not store.has(str(deleted.photograph))
    for record in kept:
        assert all(store.path(digest).is_file() for digest in store.digests(str(record.photograph)))
    assert "nothing to free" in ratchet_here(capsys, "gc")
    again = succeed(project, "ratchet", "runs", "repeat", by_epochs[5].id)
    assert "verdict: PROMOTE  5 is at least 1" in again
    [repeated] = [record for record in history.list_runs(root) if record.repeats]
    assert set(outcomes(root, repeated.folder).values()) <= {"unchanged", "cached"}  # nothing was made again
    assert succeed(project, "dvc", "status", "heap", "weigh").strip() == "Data and pipelines are up to date."
    succeed(project, "git", "checkout", "--quiet", "--force", "older")
    succeed(project, "dvc", "checkout", "--quiet", "--force", "more.txt.dvc")
    assert (root / "more.txt").read_text() == "of a branch"
